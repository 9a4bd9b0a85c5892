"""Verifiers for tests: fed by hand, or from a list."""

import asyncio
from collections.abc import Iterable

from ostraka_consumers import Verifier
from ostraka_consumers.sources.base import FeedSink
from tests.support.fake_issuer import FakeIssuer


class ListSource:
    """Delivers what it was given and then waits."""

    def __init__(self, items: Iterable[bytes], *, name: str = "list") -> None:
        self.name = name
        self._items = list(items)

    async def run(self, sink: FeedSink) -> None:
        sink.report("reading")
        for item in self._items:
            sink.deliver(item)
        await asyncio.Event().wait()


async def ready_verifier(issuer: FakeIssuer, *, audience: str = "orders", remember: int = 1_000) -> Verifier:
    """A verifier that has read everything ``issuer`` has published, and a heartbeat. The caller stops it."""
    verifier = fed_by_hand(issuer, audience=audience, remember=remember)
    await verifier.start()
    return verifier


def fed_by_hand(issuer: FakeIssuer, *, audience: str = "orders", remember: int = 1_000) -> Verifier:
    """The same before it is started. What ``issuer`` publishes from now on, somebody must deliver."""
    if not issuer.records:
        issuer.open()
    source = ListSource([*issuer.records, issuer.heartbeat()])
    return Verifier(
        issuer.anchor, audience=audience, sources=[source], clock=issuer.clock, remember=remember, ready_timeout=5
    )
