"""``ostraka demo``: a story told by a running system, with every claim measured from outside.

``traffic`` sends orders and requests and notes what became of each, ``measure`` draws conclusions from the notes alone,
``story`` is the plot: it changes the world and asserts what must follow, ``report`` is what came out.
"""
