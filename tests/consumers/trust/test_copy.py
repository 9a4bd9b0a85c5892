"""What took effect is told, and what was read from a copy vouches for nothing."""

from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.receipt import Kind, Outcome, Taken
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position
from ostraka_schemas.root import FeedRole, root_bytes
from tests.support.fake_issuer import FakeIssuer

from .feed import Fed


class Told(Fed):
    """A core, and what it tells."""

    def __init__(self, issuer: FakeIssuer | None = None) -> None:
        self.told: list[Taken] = []
        super().__init__(issuer, opened=False, keep=self.told.append)

    def news(self) -> list[Taken]:
        news, self.told[:] = list(self.told), []
        return news


def record(raw: bytes, seq: int, epoch: int = 1) -> Taken:
    return Taken(Kind.RECORD, (raw,), Position(epoch, seq))


def root(value: dict[str, object]) -> Taken:
    return Taken(Kind.ROOT, (root_bytes(value),))


def test_each_record_is_told_when_it_takes_effect() -> None:
    fed = Told()
    first, second = fed.issuer.open()
    third = fed.issuer.cut_subject("alice")
    fed.take(third)
    fed.take(first)
    assert fed.news() == [root(fed.issuer.signed_roots[0]), record(first, 1)]
    fed.take(third)
    assert fed.news() == []
    fed.take(second)
    assert fed.news() == [record(second, 2), record(third, 3)]
    for raw in (second, b"rubbish", fed.issuer.heartbeat()):
        fed.take(raw)
    assert fed.news() == []


def test_root_documents_are_told_as_they_travel_alone_as_soon_as_they_are_verified() -> None:
    fed = Told()
    for raw in fed.issuer.open():
        fed.take(raw)
    fed.news()
    key = SigningKey.generate("EdDSA")
    role = FeedRole(keys=[key.public.to_jwk()], exp=fed.issuer.root.feed.exp)
    value = fed.issuer.next_root(feed=role.model_dump())
    (brought,) = fed.issuer.adopt_root(value, feed_key=key)
    fed.take(brought)
    assert fed.news() == [root(value), record(brought, 3)]
    value = fed.issuer.next_root(epoch=2)
    first, _ = fed.issuer.adopt_root(value)
    fed.take(first)
    assert fed.news() == [root(value), record(first, 1, epoch=2)]
    value = fed.issuer.next_root()
    fed.take(root_bytes(value))
    fed.take(root_bytes(value))
    assert fed.news() == [root(value)]


def test_a_snapshot_is_told_whole_with_the_heartbeat_that_vouched_for_it() -> None:
    issuer = FakeIssuer()
    state = Fed(issuer).core.state
    assert state is not None
    (part,) = issuer.snapshot(state)
    beat = issuer.heartbeat()
    after = issuer.cut_subject("alice")
    fed = Told(issuer)
    for raw in (*issuer.root_files(), after, part):
        fed.take(raw)
    assert fed.news() == [root(issuer.signed_roots[0])]
    fed.take(beat)
    assert fed.news() == [Taken(Kind.SNAPSHOT, (part, beat), Position(1, 2)), record(after, 3)]


def test_who_is_told_nothing_holds_no_bytes() -> None:
    issuer = FakeIssuer()
    state = Fed(issuer).core.state
    assert state is not None
    core = TrustCore(issuer.anchor)
    for raw in (*issuer.root_files(), *issuer.snapshot(state)):
        core.receive(raw, issuer.clock.now())
    assert core._gathering is not None
    assert core._gathering.raws == []


def test_what_a_copy_held_vouches_for_nothing_but_its_time_stays() -> None:
    fed = Fed()
    beat = fed.issuer.heartbeat(iat=fed.issuer.now + 1)
    assert fed.take(beat).outcome is Outcome.HEARTBEAT
    fed.core.resume(None)
    now = fed.issuer.clock.now()
    assert fed.core.age(now) is None
    assert fed.core.now(now) == fed.issuer.now + 1
    assert "no heartbeat vouches for it yet" in str(fed.core.why_not_ready(now))
    fed.take(fed.issuer.records[-1])
    assert fed.freshness == "expired"
    # From a source the very same one is news.
    assert fed.take(beat).outcome is Outcome.HEARTBEAT
    assert fed.core.why_not_ready(now) is None


def test_a_heartbeat_that_a_copy_held_vouches_not_even_when_its_head_is_reached() -> None:
    fed = Fed()
    late = fed.issuer.cut_subject("alice")
    fed.beat()
    fed.core.resume(None)
    fed.take(late)
    assert fed.core.age(fed.issuer.clock.now()) is None


def test_what_was_reached_must_be_reached_again() -> None:
    fed = Fed()
    fed.core.resume(Position(1, 3))
    fed.core.resume(None)
    fed.core.resume(Position(1, 1))
    fed.beat()
    assert "ends at 1:2, but the state directory says it was at 1:3" in str(
        fed.core.why_not_ready(fed.issuer.clock.now())
    )
    fed.take(fed.issuer.cut_subject("alice"))
    fed.issuer.clock.advance(1)
    fed.beat()
    assert fed.core.why_not_ready(fed.issuer.clock.now()) is None


def test_doubts_outlive_a_copy() -> None:
    fed = Fed()
    fed.core._vouching.doubted = True
    fed.core.resume(None)
    fed.beat()
    assert fed.core.doubted
    assert fed.core.age(fed.issuer.clock.now()) is None


def test_a_root_document_that_a_record_of_the_same_key_brings_is_told_with_it_and_only_once() -> None:
    fed = Told()
    for raw in fed.issuer.open():
        fed.take(raw)
    fed.news()
    value = fed.issuer.next_root()
    (brought,) = fed.issuer.adopt_root(value)
    fed.take(brought)
    assert sorted(fed.news(), key=lambda told: told.kind.value) == [root(value), record(brought, 3)]
    fed.take(root_bytes(value))
    fed.take(brought)
    assert fed.news() == []
