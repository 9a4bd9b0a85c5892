"""Steps, and runs of them that together are likely to show something."""

from collections.abc import Callable
from typing import Final, NamedTuple


class Step(NamedTuple):
    """What happens, and three numbers that say to whom, how and how much; each is taken modulo what there is."""

    kind: str
    a: int = 0
    b: int = 0
    c: int = 0


Motif = Callable[[Callable[[], int]], list[Step]]
"""A run of steps; it is handed what gives the next number."""

MOTIFS: Final[tuple[Motif, ...]] = (
    lambda n: [
        Step("mint", n()),
        Step("tick"),
        Step("revoke", n(), 0),
        Step("tick"),
        Step("restart", v := n(), 3 * n(), 3),
        Step("ask old", v, n()),
        Step("present", v),
    ],
    lambda n: [
        Step("withhold", v := n()),
        Step("revoke", n(), 0),
        Step("revoke", n(), 0),
        Step("tick"),
        Step("snapshot"),
        Step("bring snapshot", v, 4 * n()),
        Step("present", v),
    ],
    lambda n: [
        Step("new epoch"),
        Step("tick"),
        Step("mint", n()),
        Step("present all"),
        Step("revoke", n()),
        Step("tick"),
    ],
    lambda n: [
        Step("snapshot"),
        Step("restart", v := n()),
        Step("bring snapshot", v),
        Step("beat"),
        Step("read", v),
    ],
    lambda n: [Step("mint", n()), Step("tick"), Step("present", n(), 0), Step("revoke", n(), 0), Step("tick")],
    lambda n: [
        Step("freeze", v := n()),
        Step("revoke", n(), 0),
        Step("tick"),
        Step("pause", 11),
        Step("present", v),
    ],
    lambda n: [
        Step("withhold", v := n()),
        Step("revoke", n(), 0),
        Step("tick"),
        Step("mint", n()),
        Step("present", v),
    ],
    lambda n: [Step("revoke", n(), n()), Step("relay", n(), 1), Step("start issuer"), Step("tick")],
    lambda n: [
        Step("rotate"),
        Step("tick"),
        Step("pause", 12),
        Step("tick"),
        Step("rotate"),
        Step("tick"),
        Step("mint", n()),
    ],
    lambda n: [
        Step("freeze", v := n()),
        Step("tick"),
        Step("pause", n() % 12),
        Step("present", v),
        Step("freeze", v),
    ],
    lambda n: [Step("revoke", n(), 0), Step("tick"), Step("pause", 13), Step("tick"), Step("present all", n())],
    lambda n: [Step("mint", n()), Step("compromise"), Step("tick"), Step("present all", n()), Step("mint", n())],
    lambda n: [
        Step("restart", v := n()),
        Step("read", v, 3),
        Step("present", v),
        Step("ask old", v, n()),
        Step("present", v),
    ],
    lambda n: [Step("step clock", m := n(), n()), Step("tick"), Step("present all", n()), Step("right clock", m)],
    lambda n: [Step("revoke", n(), 0), Step("shuffle", v := n(), n()), Step("read", v, n()), Step("present", v, 0)],
)
