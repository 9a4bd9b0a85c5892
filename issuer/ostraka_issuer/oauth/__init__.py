"""OAuth 2.0 without a browser: who a client is, what it may have, and what has become of a token."""
