"""Conclusions from notes: pure, so every case is written down."""

import pytest

from ostraka_issuer.desk.demo.attempts import ATTEMPTS_MAX, Attempt, Notes, Verdict
from ostraka_issuer.desk.demo.measure import cut_off, tally
from ostraka_issuer.desk.demo.world import all_accepted, all_refused
from ostraka_issuer.desk.errors import StoryError

COMMITTED = 100.0


def attempt(
    sent_at: float, verdict: Verdict | None, *, seen_at: float | None = None, service: str = "api", reason: str = ""
) -> Attempt:
    seen = None if verdict is None else (sent_at + 0.002 if seen_at is None else seen_at)
    return Attempt(service, "orders:create", "alice", 1, sent_at, seen, verdict, reason or None)


def test_the_first_refusal_counts_from_the_commit_to_when_it_was_seen() -> None:
    cut = cut_off(
        [
            attempt(99.0, Verdict.ACCEPTED),
            attempt(100.003, Verdict.ACCEPTED),
            attempt(100.006, Verdict.REFUSED, seen_at=100.009, reason="revoked"),
            attempt(100.010, Verdict.REFUSED, seen_at=100.012, reason="revoked"),
        ],
        "api",
        COMMITTED,
    )
    assert cut is not None
    assert cut.milliseconds == pytest.approx(9.0)
    assert (cut.accepted_after_commit, cut.accepted_after_refusal, cut.refused) == (1, 0, 2)
    assert cut.reasons == ("revoked",)


def test_an_acceptance_after_the_first_refusal_is_seen() -> None:
    attempts = [attempt(100.0, Verdict.REFUSED, seen_at=100.01), attempt(100.02, Verdict.ACCEPTED)]
    cut = cut_off(attempts, "api", COMMITTED)
    assert cut is not None
    assert cut.accepted_after_refusal == 1


def test_refusals_of_before_the_commit_and_of_other_services_do_not_count() -> None:
    attempts = [attempt(90.0, Verdict.REFUSED), attempt(101.0, Verdict.REFUSED, service="handler")]
    assert cut_off(attempts, "api", COMMITTED) is None


def test_a_tally_tells_the_pending_and_the_failed_apart() -> None:
    count = tally([attempt(1.0, verdict) for verdict in (None, Verdict.FAILED, Verdict.ACCEPTED, Verdict.REFUSED)])
    assert (count.accepted, count.refused, count.failed, count.pending, count.decided) == (1, 1, 1, 1, 2)


def test_one_bad_verdict_is_enough() -> None:
    good = [attempt(1.0, Verdict.ACCEPTED)] * 99
    assert all_accepted(good, "orders").accepted == 99
    for other in (Verdict.REFUSED, Verdict.FAILED, None):
        with pytest.raises(StoryError, match="orders: 99 of 100 were accepted"):
            all_accepted([*good, attempt(2.0, other, reason="expired")], "orders")
    with pytest.raises(StoryError, match="nothing was asked"):
        all_refused([], "orders")


def test_a_verdict_is_noted_once() -> None:
    notes = Notes()
    number = notes.take(attempt(1.0, None))
    notes.settle(number, Verdict.REFUSED, 1.5, "revoked")
    notes.settle(number, Verdict.ACCEPTED, 1.6)
    notes.settle(number + 1, Verdict.ACCEPTED, 1.6)
    (noted,) = notes
    assert (noted.verdict, noted.seen_at, noted.reason) == (Verdict.REFUSED, 1.5, "revoked")


def test_notes_are_bounded() -> None:
    notes = Notes()
    notes._attempts = [attempt(1.0, None)] * ATTEMPTS_MAX
    with pytest.raises(OverflowError):
        notes.take(attempt(1.0, None))
