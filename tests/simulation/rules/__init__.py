"""The invariants, each a function of its own with the rule in words."""
