"""``./run mutate``: does a test notice when a rule of the trust core is changed? See docs/adr/0010-mutation-test.md."""
