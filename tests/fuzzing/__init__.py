"""Mutated tokens and records, as many as one likes: ``./run fuzz``. What must hold is asserted for each of them.

A run is cut into batches. A batch follows from its target, the seed and its number alone, so a finding is replayed by
naming these and the case: ``./run fuzz --replay tokens:SEED:BATCH:CASE``.
"""
