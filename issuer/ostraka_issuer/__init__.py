"""The identity service: accounts, sessions, token keys, revocation, and the feed it publishes."""
