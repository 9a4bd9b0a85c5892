"""What an operator sees of a running issuer: logs, metrics, traces. Nothing here decides anything.

The parts of the issuer know none of it: they log with the standard library and call functions that they were handed
(``ostraka_issuer.happenings``).
"""
