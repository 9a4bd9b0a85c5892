"""Verifiers that live on one state directory, one after the other, and what they may come to."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers import NotReady, Verifier
from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.persistence.frames import Frame
from ostraka_consumers.persistence.replay import Extent, Replay
from ostraka_consumers.persistence.store import Store
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.receipt import Taken
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position
from ostraka_schemas.root import FeedRole
from tests.support.fake_issuer import FakeIssuer
from tests.support.fingerprint import state_fingerprint
from tests.support.verifiers import ListSource

ESSENCE = ("head", "keys", "compromised", "denied", "cut-offs", "remaining", "revoked")
DEADLINE = 20.0


def essence(verifier: Verifier) -> dict[str, Any]:
    """What tokens are judged by, and up to where; the same however the verifier came there."""
    whole = state_fingerprint(verifier)
    return {name: whole[name] for name in ESSENCE}


def position(verifier: Verifier) -> Position | None:
    head = verifier.core.head
    return None if head is None else head.position


def new_verifier(
    issuer: FakeIssuer,
    directory: Path | None,
    items: Iterable[bytes] = (),
    *,
    anchor: TrustAnchor | None = None,
    ready_timeout: float = 5,
) -> Verifier:
    return Verifier(
        anchor or issuer.anchor,
        audience="orders",
        sources=[ListSource(items)],
        clock=issuer.clock,
        ready_timeout=ready_timeout,
        state_directory=directory,
    )


@asynccontextmanager
async def living(
    issuer: FakeIssuer, directory: Path | None, items: Sequence[bytes] = (), *, anchor: TrustAnchor | None = None
) -> AsyncIterator[Verifier]:
    """A verifier that was brought ``items`` and a heartbeat of now, and is ready."""
    async with new_verifier(issuer, directory, [*items, issuer.heartbeat()], anchor=anchor) as verifier:
        yield verifier


async def restored(issuer: FakeIssuer, directory: Path, *, anchor: TrustAnchor | None = None) -> Verifier:
    """What a verifier knows that was brought nothing; the directory stays as it is. It was not ready."""
    copy = directory.with_name(directory.name + ".copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*.new"))
    verifier = new_verifier(issuer, copy, anchor=anchor, ready_timeout=0)
    with pytest.raises(NotReady):
        await verifier.start()
    return verifier


async def written(verifier: Verifier) -> None:
    """Wait until everything that took effect is written down."""
    async with asyncio.timeout(DEADLINE):
        while (status := verifier.status.persisted) is None or status.waiting or status.kept != position(verifier):
            await asyncio.sleep(0.005)


async def read_back(store: Store, verifier: Verifier) -> Extent:
    """The same as at the start of a verifier, without its thread."""
    with store.read_snapshot() as snapshot, store.read_journal() as journal:

        async def parts() -> list[Frame]:
            return snapshot.batch()

        async def records() -> list[Frame]:
            return journal.batch()

        replay = Replay(verifier.deliver, lambda: position(verifier), store.read_roots())
        extent = await replay.run(parts, records)
    store.go_on(*extent)
    verifier.core.resume(store.read_position())
    return extent


class Reference:
    """A verifier that was brought everything, and what it was like after each record."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.issuer = issuer
        self.verifier = new_verifier(issuer, None)
        self.taken: list[Taken] = []
        self.verifier._core = TrustCore(issuer.anchor, keep=self.taken.append)
        self.states: dict[Position, dict[str, Any]] = {}

    def take(self, *raws: bytes) -> None:
        for raw in raws:
            self.verifier.deliver(raw)
            if (at := position(self.verifier)) is not None:
                self.states[at] = essence(self.verifier)

    def check(self, verifier: Verifier) -> None:
        """A verifier knows nothing but what was true where it stands, and nothing vouches for it."""
        at, found = position(verifier), essence(verifier)
        if at is None:
            assert (found["keys"], found["denied"] or frozenset(), found["cut-offs"] or {}) == ([], frozenset(), {})
        else:
            assert found == self.states[at]
        assert verifier.core.why_not_ready(self.issuer.clock.now()) is not None
        assert not verifier.core.alarms


class Story:
    """A feed with all that a copy has to bear: cut-offs, a new feed key, a snapshot taken, a new epoch.

    Attributes:
        raws: what a source would bring; the records before the snapshot are not among it.
    """

    def __init__(self, *, epochs: int = 1, snapshot: bool = False) -> None:
        self.issuer = FakeIssuer()
        self.reference = Reference(self.issuer)
        self.raws: list[bytes] = []
        self._skips = snapshot
        self.say(*self.issuer.open(), self.issuer.cut_subject("alice"), self.issuer.revoke_token("t", self.token_end))
        self.new_feed_key()
        if snapshot:
            self._snapshot()
        for epoch in range(2, epochs + 1):
            self.say(*self.issuer.adopt_root(self.issuer.next_root(epoch=epoch)))
        self.say(self.issuer.cut_subject("bob"), self.issuer.keep_only("carol", "orders:read"))

    @property
    def token_end(self) -> int:
        return self.issuer.now + 300

    def say(self, *raws: bytes) -> None:
        self.reference.take(*raws)
        if not self._skips:
            self.raws += raws

    def new_feed_key(self) -> None:
        issuer, key = self.issuer, SigningKey.generate("EdDSA")
        role = FeedRole(keys=[key.public.to_jwk()], exp=issuer.root.feed.exp)
        self.say(*issuer.adopt_root(issuer.next_root(feed=role.model_dump()), feed_key=key))

    def _snapshot(self) -> None:
        state = self.reference.verifier.core.state
        assert state is not None
        self.raws = [*self.issuer.root_files(), *self.issuer.snapshot(state), self.issuer.heartbeat()]
        self._skips = False
