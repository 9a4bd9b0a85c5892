"""What is told of everything that is authentic: where it stands, and when it was said."""

import pytest

from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.limits import SEQ_MAX
from ostraka_schemas.records import Head, Position
from ostraka_schemas.snapshots import SnapshotState
from tests.consumers.trust.feed import Fed

H = b"h" * 32


def where(receipt: Receipt) -> tuple[Outcome, Position | None, int | None]:
    return receipt.outcome, receipt.position, receipt.heard


def test_records_say_where_they_stand() -> None:
    fed = Fed()
    third, fourth = fed.issuer.cut_subject("a"), fed.issuer.cut_subject("b")
    far = fed.issuer.sign(IssuerCutoff(), seq=SEQ_MAX, prev=H)
    assert where(fed.take(fourth)) == (Outcome.HELD, (1, 4), None)
    assert where(fed.take(far)) == (Outcome.REFUSED, (1, SEQ_MAX), None)
    assert where(fed.take(third)) == (Outcome.APPLIED, (1, 3), None)
    assert where(fed.take(third)) == (Outcome.DUPLICATE, (1, 3), None)


def test_a_record_too_old_to_be_known_by_its_hash_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.chain.HASH_WINDOW", 1)
    fed = Fed()
    fed.take(fed.issuer.cut_subject("a"))
    assert where(fed.take(fed.issuer.records[0])) == (Outcome.DUPLICATE, (1, 1), None)


def test_heartbeats_say_of_what_they_speak_and_when_news_or_not() -> None:
    fed = Fed()
    older = fed.issuer.heartbeat(iat=fed.issuer.now - 3)
    fed.issuer.clock.advance(5)
    beat = fed.issuer.heartbeat()
    now = fed.issuer.now
    assert where(fed.take(beat)) == (Outcome.HEARTBEAT, (1, 2), now)
    assert where(fed.take(beat)) == (Outcome.DUPLICATE, (1, 2), now)
    assert where(fed.take(older)) == (Outcome.DUPLICATE, (1, 2), now - 8)


def test_parts_say_of_which_head_they_are() -> None:
    fed = Fed()
    now = fed.issuer.now
    ahead = Head(Position(1, 9), H)

    def part(number: int, iat: int = now) -> tuple[Outcome, str | None, Position | None]:
        receipt = fed.take(fed.issuer.snapshot_part(SnapshotState(latest_iat=now), number, 2, head=ahead, iat=iat))
        return receipt.outcome, receipt.reason, receipt.position

    assert part(1) == (Outcome.SNAPSHOT, None, (1, 9))
    assert part(1) == (Outcome.DUPLICATE, None, (1, 9))
    assert part(2, iat=now - 1) == (Outcome.DUPLICATE, "older_snapshot", (1, 9))
    assert part(2) == (Outcome.SNAPSHOT, None, (1, 9))
    behind = fed.issuer.snapshot_part(SnapshotState(latest_iat=now))
    assert fed.take(behind)[:4] == (Outcome.DUPLICATE, "snapshot_not_needed", (), (1, 2))


def test_what_is_not_authentic_says_nothing() -> None:
    fed = Fed()
    assert where(fed.take(b"x")) == (Outcome.REFUSED, None, None)
    assert where(fed.beat(key=fed.issuer.token_key)) == (Outcome.REFUSED, None, None)
    assert where(fed.beat(iat=fed.issuer.now + 1_000)) == (Outcome.REFUSED, None, None)
