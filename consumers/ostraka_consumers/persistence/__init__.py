"""A local copy of what is signed, so that a restart need not ask for all of it again.

Rules, in words:

1. The directory is no second way to trust. It holds the bytes that took effect, and they are read back through the
   same door as those of any source: every check is done again. Whatever else lies there is refused there.
2. Written only after it was verified, never before, and never in the way of a decision: a full or broken disk is
   logged, counted and tried again, and what finds no room meanwhile is not kept.
3. Whole files (root documents, snapshot, position) are replaced whole. The journal of the records since is only ever
   appended to, in frames with length and checksum; it is good up to its first damaged frame.
4. The position says how far the feed was ever applied, to within a second. It must be reached again before anything is
   decided: an old copy of the rest is a cold start that has to come as far. It names issuer and root keys: one that
   belongs to another feed is as if it were not there. Whoever may write here can write one that is never reached.
5. What cannot be read is as if it were not there.
6. The copy vouches for nothing: before a source brings a heartbeat that is young, nothing is decided.
"""
