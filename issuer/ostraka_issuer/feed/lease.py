"""Who may write the feed: a lease that one process holds at a time. Pure rules; times are those of the database.

The lease is one row: its holder, the time until which it is held, and a *fence*, a number that grows whenever the lease
changes hands.

1. **Take** it if it is free: nobody holds it, or ``until`` has passed by the database's own clock. The clocks of two
   machines are never compared. An ``until`` further ahead than any lease lasts was written before that clock was set
   back; it holds nobody up. Nor does a holder of which the machine itself knows that it has ended.
2. **Renew** it while the row still has one's own fence. That ``until`` has passed meanwhile does not matter: nobody has
   taken it, so nobody has written.
3. **Release** it on a clean stop, so that another takes it at once.
4. **Every transaction that places records reads the fence.** Taking the lease and placing records exclude one another
   (one writer at a time), so whoever finds its own fence there is the only one, until its commit. A process that was
   stopped in the middle and goes on a minute later finds another fence, and writes nothing.

So the time only decides how soon another takes over; that no place in the feed is given twice rests on rule 4 alone.
Losing the lease is no error of the process: it stands by, and shows what the other one writes.
"""

from typing import NamedTuple

from ..limits import LEASE_SECONDS


class Lease(NamedTuple):
    """The row.

    Attributes:
        holder: names the process; ``None`` if it was released.
        fence: grows whenever the lease changes hands.
        until: seconds since the epoch, by the database's clock.
    """

    holder: str | None
    fence: int
    until: float


FREE = Lease(None, 0, 0.0)
"""Before it was held for the first time."""


def is_free(lease: Lease, now: float) -> bool:
    """Rule 1."""
    return lease.holder is None or not now < lease.until <= now + LEASE_SECONDS


def taken(lease: Lease, holder: str, now: float, *, ended: bool = False) -> Lease | None:
    """What the row becomes when ``holder`` takes it; ``None`` if another process has it.

    A holder that takes again what it has, gets another fence: what it began under the old one is over.

    Args:
        ended: whether the process that has it is known to have ended.
    """
    if lease.holder != holder and not ended and not is_free(lease, now):
        return None
    return Lease(holder, lease.fence + 1, now + LEASE_SECONDS)


def is_held(lease: Lease, mine: Lease) -> bool:
    """Rule 4: whether the row still is ``mine``, whatever its time."""
    return lease.holder == mine.holder and lease.fence == mine.fence


def renewed(lease: Lease, mine: Lease, now: float) -> Lease | None:
    """Rule 2: what the row becomes; ``None`` if ``mine`` is lost."""
    return mine._replace(until=now + LEASE_SECONDS) if is_held(lease, mine) else None


def released(lease: Lease, mine: Lease) -> Lease | None:
    """Rule 3: what the row becomes; ``None`` if ``mine`` is lost, and there is nothing to release."""
    return Lease(None, lease.fence, 0.0) if is_held(lease, mine) else None
