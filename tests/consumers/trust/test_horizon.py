"""What was minted before something that is forgotten is dead, whatever the clock said that gave it its times."""

from collections.abc import Callable
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers.errors import Revoked
from ostraka_consumers.limits import HORIZON_STEPS, HORIZON_STEPS_MAX
from ostraka_consumers.trust.cutoffs import Moment
from ostraka_consumers.trust.horizon import Horizon
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_consumers.trust.tokens import GenuineToken
from ostraka_schemas.records import Position
from ostraka_schemas.snapshots import cut
from tests.consumers.trust.feed import Fed
from tests.support.fake_issuer import FakeIssuer

SPAN = 160
WIDTH = SPAN // HORIZON_STEPS


def at(seq: int, iat: int = 0) -> Moment:
    return Moment(Position(1, seq), iat)


def test_it_moves_on_when_a_step_is_over_and_to_the_furthest_place() -> None:
    horizon = Horizon(SPAN)
    horizon.note(at(3, 7), 11)
    horizon.note(at(4, 5), 20)
    horizon.note(at(5), 21)
    assert horizon.move(19) == (10, None)
    assert horizon.move(20) == (20, at(4, 7))
    assert horizon.move(20) == (20, None)
    assert horizon.move(100) == (100, at(5))


def test_what_is_held_stays_where_it_is_until_all_of_it_may_go() -> None:
    horizon = Horizon(SPAN)
    horizon.note(at(3), 11)
    horizon.hold(at(9), 95)
    horizon.hold(at(8), 41)
    assert horizon.move(99) == (0, None)
    assert horizon.move(100) == (100, at(9))


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 100)), max_size=30))
def test_it_is_never_behind_what_is_forgotten_nor_ahead_of_what_lives(said: list[tuple[int, int]]) -> None:
    horizon, noted = Horizon(SPAN), list[int]()
    for expires, _ in said:
        noted.append(expires)
        horizon.note(at(len(noted)), expires)
    now, reached = 0, 0
    for _, later in said:
        now += later
        until, moment = horizon.move(now)
        assert now - WIDTH < until <= now
        reached = max(reached, moment.position.seq if moment else 0)
        gone = [seq for seq, expires in enumerate(noted, start=1) if expires < until]
        assert reached >= max(gone, default=0)
        assert reached == 0 or noted[reached - 1] <= until


def test_of_a_long_history_the_oldest_steps_wait_for_the_next() -> None:
    horizon = Horizon(SPAN)
    for seq in range(1, HORIZON_STEPS_MAX + 101):
        horizon.note(at(seq), seq * WIDTH)
    assert horizon.move(WIDTH)[1] is None
    assert horizon.move(101 * WIDTH)[1] == at(101)
    assert horizon.move(10**6)[1] == at(HORIZON_STEPS_MAX + 100)


def cut_off(issuer: FakeIssuer, token: GenuineToken) -> bytes:
    return issuer.cut_client(token.claims.client_id)


def denied(issuer: FakeIssuer, token: GenuineToken) -> bytes:
    return issuer.revoke_token(token.claims.jti, token.claims.exp)


def denied_with_others(issuer: FakeIssuer, token: GenuineToken) -> bytes:
    return issuer.revoke_tokens((token.claims.jti, token.claims.exp), ("another", issuer.now + 10))


REVOKED = pytest.mark.parametrize("revoke", [cut_off, denied, denied_with_others])
AHEAD = pytest.mark.parametrize("ahead", [200, 320, 3_600, 7_000])


def minted_ahead(fed: Fed, ahead: int) -> GenuineToken:
    """A token from a clock that is ahead for a moment."""
    return fed.genuine(iat=fed.issuer.now + ahead, nbf=fed.issuer.now + ahead, exp=fed.issuer.now + ahead + 300)


def look(fed: Fed, token: GenuineToken, *, until: int) -> None:
    """Refused at every heartbeat until the token's end."""
    while fed.issuer.now < until:
        fed.issuer.clock.advance(10)
        fed.beat()
        with pytest.raises(Revoked):
            fed.core.check_revocation(token)


@REVOKED
@AHEAD
def test_a_token_from_a_clock_that_was_ahead_stays_dead(
    revoke: Callable[[FakeIssuer, GenuineToken], bytes], ahead: int
) -> None:
    fed = Fed()
    token = minted_ahead(fed, ahead)
    fed.take(revoke(fed.issuer, token))
    look(fed, token, until=token.claims.exp)


@REVOKED
@AHEAD
@pytest.mark.parametrize("pause", [0, 150, 1_000])
def test_it_stays_dead_for_whoever_starts_from_a_snapshot(
    revoke: Callable[[FakeIssuer, GenuineToken], bytes], ahead: int, pause: int
) -> None:
    fed = Fed()
    issuer = fed.issuer
    token = minted_ahead(fed, ahead)
    fed.take(revoke(issuer, token))
    for _ in range(2):
        issuer.clock.advance(pause)
        fed.beat()
        assert fed.core.state is not None
        parts = [issuer.snapshot_part(share) for share in cut(contents_of(fed.core.state))]
        fed = Fed(issuer, opened=False)
        for raw in (*issuer.root_files(), issuer.heartbeat(), *parts):
            fed.take(raw)
    look(fed, token, until=token.claims.exp)


@AHEAD
def test_it_stays_dead_for_whoever_reads_the_whole_history_later(ahead: int) -> None:
    fed = Fed()
    token = minted_ahead(fed, ahead)
    fed.take(cut_off(fed.issuer, token))
    fed.issuer.clock.advance(ahead)
    newcomer = Fed(fed.issuer)
    look(newcomer, token, until=token.claims.exp)


def test_a_token_that_lives_by_a_right_clock_is_none_the_worse_for_it() -> None:
    """Whoever was cut off while it lives, and however much was forgotten."""
    fed = Fed()
    issuer = fed.issuer
    tokens: list[GenuineToken] = []
    for number in range(200):
        fed.take(issuer.cut_subject(f"somebody {number}"))
        tokens.append(fed.genuine(fv=list(issuer.head.position)))
        issuer.clock.advance(10)
        fed.beat()
        for token in tokens:
            if token.claims.exp > issuer.now:
                fed.core.check_revocation(token)
    assert fed.remembered <= ceil((issuer.limits.token_lifetime + 10) * (1 + 1 / HORIZON_STEPS) / 10) + 1
