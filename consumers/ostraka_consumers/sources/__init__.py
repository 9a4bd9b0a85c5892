"""Where a verifier gets the feed from."""
