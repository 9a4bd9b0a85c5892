"""One contract for every integration: whom it lets through, what it says to the others, and when it ends."""
