"""Private keys: how they are sealed and stored, and the life of the keys that sign tokens."""
