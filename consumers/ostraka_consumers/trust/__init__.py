"""The trust core: pure rules about the feed, the keys, and who may still be let in."""
