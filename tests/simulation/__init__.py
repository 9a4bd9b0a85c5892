"""Whole systems in one process: hostile links, virtual clocks, an issuer that crashes, and real verifiers.

One integer makes a schedule; a schedule makes a history; the invariants are asked of the history.
"""
