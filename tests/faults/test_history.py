"""The checks of the fault suite: each finds what it is there to find."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.faults.deciding import ACCEPTED
from tests.faults.history import (
    Moment,
    Revocation,
    Story,
    Window,
    backward_heads,
    broken_promises,
    contradictions,
    last_accepted,
    longest_pause,
    memory_growth,
    taken_back,
    worst_accept,
    wrong_refusals,
)


def moment(
    at: float,
    decisions: Mapping[str, str] | None = None,
    *,
    before: float | None = None,
    head: tuple[int, int, str] | None = (1, 1, "aa"),
    alarms: Sequence[str] = (),
    rss: int = 1,
) -> Moment:
    """A line of the diary; asked last 5 ms before."""
    return Moment(
        at=at,
        before=at - 0.005 if before is None else before,
        decisions=decisions or {},
        freshness="fresh",
        ready=True,
        head=head,
        counters={"refused.malformed": 2, "refused.unknown_key": 1, "heartbeat": 9},
        alarms=alarms,
        sources={},
        rss=rss,
    )


def story(*history: Moment, revoked_at: float | None = None, windows: Sequence[Window] = ()) -> Story:
    revocations = [] if revoked_at is None else [Revocation("victim", revoked_at)]
    return Story({"v1": history}, frozenset({"steady"}), revocations, windows)


def test_an_acceptance_lasts_until_the_verifier_was_asked_before_it_refused() -> None:
    history = [moment(1, {"victim": ACCEPTED}), moment(9, {"victim": "revoked"}, before=8.5)]
    assert last_accepted(history, "victim") == 8.5
    assert worst_accept(story(*history, revoked_at=2.0)) == 6.5


def test_what_was_never_accepted_is_not_late() -> None:
    assert worst_accept(story(moment(1, {"victim": "revoked"}), revoked_at=0.5)) == 0.0
    assert last_accepted([], "victim") is None


def test_a_token_that_is_still_accepted_counts_up_to_the_last_word() -> None:
    history = [moment(1, {"victim": ACCEPTED}), moment(30, {"victim": ACCEPTED})]
    assert worst_accept(story(*history, revoked_at=2.0)) == 28.0


def test_a_good_token_may_be_refused_for_want_of_news_within_a_fault_only() -> None:
    history = [moment(1, {"steady": ACCEPTED}), moment(2, {"steady": "stale"}), moment(3, {"steady": ACCEPTED})]
    assert wrong_refusals(story(*history)) == ["v1 refused steady: stale"]
    for window in (Window(frozenset(), 1.5, 3), Window(frozenset({"v1"}), 1.5)):
        assert wrong_refusals(story(*history, windows=[window])) == []
    for window in (
        Window(frozenset(), 1.5, 3, frozenset({"expired"})),
        Window(frozenset({"v2"}), 1.5, 3),
        Window(frozenset(), 2.5, 3),
        Window(frozenset(), 1.5, 2.5),
    ):
        assert wrong_refusals(story(*history, windows=[window])) == ["v1 refused steady: stale"]


def test_who_is_only_starting_may_refuse() -> None:
    starting = replace(moment(1, {"steady": "not_ready"}), ready=False)
    ready = moment(2, {"steady": ACCEPTED})
    assert wrong_refusals(story(starting, ready)) == []
    assert wrong_refusals(story(ready, moment(3, {"steady": "not_ready"}))) == ["v1 refused steady: not_ready"]


def test_a_good_token_may_never_be_refused_for_another_reason() -> None:
    history = [moment(1, {"steady": "revoked", "victim": "revoked"})]
    assert wrong_refusals(story(*history, windows=[Window(frozenset(), 0)])) == ["v1 refused steady: revoked"]


def test_a_revocation_taken_back_is_found() -> None:
    known = moment(1, {"victim": "revoked"})
    assert taken_back(story(known, moment(2, {"victim": "stale"}))) == []
    assert taken_back(story(known, moment(2, {"victim": ACCEPTED}))) == ["v1 accepted victim again"]


def test_heads_that_go_back_or_contradict_each_other_are_found() -> None:
    one, two, other = (1, 1, "aa"), (1, 2, "bb"), (1, 2, "cc")
    ordered = [moment(1, head=None), moment(2, head=one), moment(3, head=two)]
    assert backward_heads({"v1": ordered}) == []
    assert backward_heads({"v1": ordered[::-1]}) == ["v1 went back from (1, 2) to (1, 1)"]
    assert contradictions({"v1": ordered, "v2": ordered}) == []
    assert contradictions({"v1": ordered, "v2": [moment(4, head=other)]}) == ["two contents at (1, 2)"]


def test_pauses_memory_and_bad_records_are_measured() -> None:
    history = [moment(1, rss=50), moment(2, rss=10), moment(6, before=2.5, rss=30)]
    assert longest_pause(history) == 3.5
    assert memory_growth(history, 1.5) == 20
    assert history[0].refused == 3


def test_everything_that_is_broken_is_told() -> None:
    good = [moment(1, {"steady": ACCEPTED, "victim": ACCEPTED}), moment(3, {"steady": ACCEPTED, "victim": "revoked"})]
    assert broken_promises(story(*good, revoked_at=1.0), bound=16) == []
    bad = [
        moment(1, {"steady": ACCEPTED, "victim": ACCEPTED}),
        moment(20, {"steady": "expired", "victim": "revoked"}, head=(1, 2, "bb")),
        moment(21, {"victim": ACCEPTED}, head=(1, 1, "zz"), alarms=["clock", "equivocation"]),
    ]
    assert broken_promises(story(*bad, revoked_at=1.0), bound=16, may_alarm=["clock"]) == [
        "a token was accepted 20.0 s after its revocation, the bound is 16 s",
        "v1 refused steady: expired",
        "v1 accepted victim again",
        "v1 went back from (1, 2) to (1, 1)",
        "two contents at (1, 1)",
        "alarm equivocation",
    ]
