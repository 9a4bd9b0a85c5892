"""Whatever order, however often, with whatever between: the same feed leads to the same state."""

from random import Random
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers import VerificationError, Verifier
from ostraka_consumers.limits import HOLDER_WEIGHT
from ostraka_consumers.trust.receipt import Outcome
from tests.properties.feeds import Step, hand_fed, new_issuer, say, steps
from tests.support.fingerprint import state_fingerprint
from tests.support.rogue import forgeries

ORDER = st.randoms(use_true_random=False)


@given(st.lists(steps(), max_size=12), ORDER, st.integers(1, 3), st.sampled_from([2, 4, 1_024]))
def test_duplicates_reorderings_replays_and_garbage_lead_to_the_same_state(
    said: list[Step], order: Random, copies: int, hold: int
) -> None:
    issuer = new_issuer()
    feed = [*issuer.open(), *(say(issuer, step) for step in said)]
    last = issuer.heartbeat()
    garbage = [forgery.raw for forgery in forgeries(issuer) if "future" not in forgery.name]
    straight = hand_fed(issuer, *feed, last)
    mixed = [*feed, last] * copies + garbage
    order.shuffle(mixed)
    with patch("ostraka_consumers.trust.chain.HOLD_MAX_RECORDS", hold):
        crooked = hand_fed(issuer, *mixed)
        for raw in (*feed, last):
            crooked.deliver(raw)
    assert crooked.core.head == issuer.head
    assert state_fingerprint(crooked) == state_fingerprint(straight)
    before = state_fingerprint(crooked)
    for raw in (*feed, *garbage, *feed[::-1], last):
        assert crooked.deliver(raw).outcome in (Outcome.DUPLICATE, Outcome.REFUSED)
    assert state_fingerprint(crooked) == before


@given(st.lists(steps(), min_size=1, max_size=8), ORDER)
def test_within_the_hold_bound_no_replay_is_needed(said: list[Step], order: Random) -> None:
    issuer = new_issuer()
    opening = issuer.open()
    feed = [say(issuer, step) for step in said]
    last = issuer.heartbeat()
    shuffled = [*opening[1:], *feed, last]
    order.shuffle(shuffled)
    crooked = hand_fed(issuer, opening[0], *shuffled)
    assert crooked.core.head == issuer.head
    assert state_fingerprint(crooked) == state_fingerprint(hand_fed(issuer, *opening, *feed, last))


@given(st.lists(steps(longest_pause=200), min_size=1, max_size=10), ORDER)
def test_over_long_times_every_token_meets_the_same_decision(said: list[Step], order: Random) -> None:
    issuer = new_issuer()
    feed, tokens, ends = issuer.open(), list[str](), list[int]()
    for number, step in enumerate(said):
        tokens.append(issuer.token(jti=f"token {number}", sid=f"s{number % 2 + 1}"))
        ends.append(issuer.now + 300)
        if step.kind == "token":
            which = order.randrange(len(tokens))
            feed.append(issuer.revoke_token(f"token {which}", ends[which]))
        else:
            feed.append(say(issuer, step))
    last = issuer.heartbeat()
    mixed = [*feed, last]
    order.shuffle(mixed)
    straight, crooked = hand_fed(issuer, *feed, last), hand_fed(issuer, *mixed, *feed, last)
    assert [decision(crooked, token) for token in tokens] == [decision(straight, token) for token in tokens]
    issuer.clock.advance(2_000)
    for verifier in (straight, crooked):
        verifier.deliver(issuer.heartbeat())
        assert verifier.core.state is not None
        assert verifier.core.state.weight <= HOLDER_WEIGHT  # of all that was forgotten, one cut-off of everyone is left


def decision(verifier: Verifier, token: str) -> str | tuple[str, ...]:
    """What is said, or what is left."""
    try:
        grant = verifier.verify(token)
    except VerificationError as error:
        return error.code
    return tuple(p for p in ("orders:create", "orders:read", "orders:*", "*:*") if grant.allows(p))
