import pytest

from ostraka_consumers.limits import CLOCK_STEP_TOLERANCE, FRESH_FOR
from ostraka_consumers.trust.freshness import Freshness, Statement, Vouching, newest
from ostraka_consumers.trust.instant import Instant
from ostraka_schemas.limits import CLOCK_TOLERANCE
from ostraka_schemas.records import Head, Heartbeat, Position

HEAD = Head(Position(1, 5), b"h" * 32)
NEXT = Head(Position(1, 6), b"n" * 32)
T = 1_800_000_000
START = Instant(T, 1_000)


def said(iat: int, head: Head = HEAD) -> Statement:
    return Statement(Heartbeat("i", iat, "j", head), b"raw")


def heard(*iats: int, at: Instant = START) -> Vouching:
    vouching = Vouching()
    for iat in iats:
        vouching.hear(said(iat), HEAD, at)
    return vouching


@pytest.mark.parametrize(
    ("age", "behind", "expected"),
    [
        (0, False, Freshness.FRESH),
        (14.999, False, Freshness.FRESH),
        (15, False, Freshness.STALE),
        (0, True, Freshness.LAGGING),
        (14.999, True, Freshness.LAGGING),
        (15, True, Freshness.STALE),
        (60, False, Freshness.STALE),
        (60.001, False, Freshness.EXPIRED),
        (10**9, True, Freshness.EXPIRED),
        (-1, False, Freshness.FRESH),
    ],
)
def test_the_borders_of_freshness(age: float, behind: bool, expected: Freshness) -> None:
    assert heard(T).state(T + age, max_staleness=60, behind=behind) is expected


def test_before_the_first_heartbeat_nothing_is_vouched_for() -> None:
    assert Vouching().state(T, max_staleness=60, behind=False) is Freshness.EXPIRED
    assert Vouching().age(T) is None


def test_a_stricter_bound_expires_earlier() -> None:
    assert heard(T).state(T + 14, max_staleness=10, behind=False) is Freshness.EXPIRED


def test_doubt_ends_freshness_and_then_everything() -> None:
    vouching = heard(T)
    vouching.doubted = True
    vouching.hear(said(T + 5), HEAD, Instant(T + 5, 1_005))
    assert vouching.state(T + 5, max_staleness=60, behind=False) is Freshness.STALE
    assert vouching.age(T + 5) == 5
    assert vouching.state(T + 61, max_staleness=60, behind=False) is Freshness.EXPIRED


@pytest.mark.parametrize(
    ("wall", "monotonic", "now"),
    [
        (T + 7, 1_007, T + 7),
        (T + 3_600, 1_007, T + 3_600),
        (T - 3_600, 1_007, T + 7),
        (0, 1_007, T + 7),
        (-1e12, 1_007, T + 7),
        (T, 1_000, T),
    ],
    ids=["right", "fast", "slow", "1970", "before", "the same moment"],
)
def test_time_is_the_wall_clock_but_never_before_the_signed_time(wall: float, monotonic: float, now: float) -> None:
    assert heard(T).now(Instant(wall, monotonic)) == now


def test_the_signed_time_never_goes_back() -> None:
    vouching = heard(T, at=Instant(T - 9, 1_000))
    times = [vouching.now(Instant(T - 9 + n, 1_000 + n)) for n in range(5)]
    vouching.hear(said(T + 1), HEAD, Instant(T - 2, 1_007))  # delayed: the signed time has gone on meanwhile
    times += [vouching.now(Instant(0, 1_007 + n)) for n in range(5)]
    assert times == sorted(times)
    assert times[-1] == T + 11


@pytest.mark.parametrize(("ahead", "refused"), [(-100, False), (10, False), (11, True), (10**9, True)])
def test_a_heartbeat_may_be_ahead_as_far_as_two_good_clocks_differ(ahead: int, refused: bool) -> None:
    assert Vouching().is_ahead_of_time(said(T + ahead).heartbeat, Instant(T, 1_000)) == refused


def test_news_is_later_or_knows_more() -> None:
    vouching = heard(T)
    assert [vouching.is_news(said(iat, head).heartbeat) for iat in (T - 1, T, T + 1) for head in (HEAD, NEXT)] == [
        *(False, False, False, True, True, True)
    ]


def test_a_heartbeat_ahead_vouches_for_nothing_until_it_is_reached() -> None:
    vouching = heard(T)
    ahead = said(T + 5, NEXT)
    vouching.hear(ahead, HEAD, Instant(T + 5, 1_005))
    assert vouching.age(T + 5) == 5
    assert vouching.reached(HEAD) is None
    assert vouching.reached(NEXT) is ahead
    assert vouching.reached(NEXT) is None
    assert vouching.reached(None) is None


def test_the_newest_position() -> None:
    assert newest() is None
    assert newest(None, None) is None
    assert newest(None, Position(1, 9), Position(2, 1), Position(1, 10)) == (2, 1)


# --- clocks that differ ---


def flow(wall_error: float, *, beats: int, every: float = 5, late: float = 0.0) -> list[bool]:
    """Heartbeats of a good issuer, ``late`` on their way, judged by a wall clock that is wrong by ``wall_error``."""
    vouching, found = Vouching(), []
    for n in range(beats):
        true = T + n * every
        at = Instant(true + late + wall_error, 1_000 + n * every)
        statement = said(int(true))
        if vouching.is_ahead_of_time(statement.heartbeat, at):
            found.append(True)
            continue
        vouching.hear(statement, HEAD, at)
        found.append(vouching.clocks_differ(statement.heartbeat, at))
    return found


def test_clocks_within_the_tolerance_raise_nothing() -> None:
    for error in (-10, -5, 0, 5, 10):
        assert not any(flow(error, beats=10)), error


def test_a_slow_clock_shows_at_once() -> None:
    assert flow(-60, beats=1) == [True]


def test_a_fast_clock_shows_once_heartbeats_have_come_late_and_in_step_for_as_long_as_fresh_lasts() -> None:
    assert flow(60, beats=5) == [False, False, False, True, True]
    assert flow(3_600, beats=4)[-1]


def test_a_clock_that_steps_back_shows_though_the_signed_time_goes_on() -> None:
    vouching = heard(T)
    at = Instant(T + 5 - 3_600, START.monotonic + 5)
    vouching.hear(said(T + 5), HEAD, at)
    assert vouching.now(at) == T + 5
    assert vouching.clocks_differ(said(T + 5).heartbeat, at)


def test_a_backlog_that_is_read_quickly_is_no_sign_of_a_fast_clock() -> None:
    vouching = Vouching()
    for n in range(100):
        at = Instant(T + 1_000 + n / 100, 1_000 + n / 100)
        vouching.hear(said(T + 5 * n), HEAD, at)
        assert not vouching.clocks_differ(said(T + 5 * n).heartbeat, at)


def test_one_late_heartbeat_among_good_ones_is_no_sign() -> None:
    vouching = Vouching()
    for n in range(20):
        late = 12 if n % 3 == 0 else 0
        at = Instant(T + 5 * n + late, 1_000 + 5 * n + late)
        vouching.hear(said(T + 5 * n), HEAD, at)
        assert not vouching.clocks_differ(said(T + 5 * n).heartbeat, at)


def test_a_fast_issuer_cannot_climb_step_by_step() -> None:
    vouching, taken = Vouching(), []
    for n in range(6):
        at = Instant(T + n, 1_000 + n)
        statement = said(T + n + 9 * (n + 1))
        if not vouching.is_ahead_of_time(statement.heartbeat, at):
            vouching.hear(statement, HEAD, at)
            taken.append(n)
    assert taken == [0]
    assert vouching.now(Instant(T + 6, 1_006)) == T + 9 + 6


def test_after_the_issuers_clock_is_put_right_the_time_comes_back_once_both_clocks_have_agreed() -> None:
    vouching = heard(T + 9)
    times = []
    for after in range(10, 100, 5):
        at = Instant(T + after, START.monotonic + after)
        vouching.hear(said(T + after), HEAD, at)
        times.append(vouching.now(at) - at.wall)
    assert times == [9] * 10 + [0] * 8


def test_a_minute_of_agreement_begins_anew_with_each_disagreement() -> None:
    vouching = heard(T + 9)
    for after, error in ((10, 0), (15, 3_600), (72, 0), (77, 0)):
        iat = T + after + (30 if error else 0)
        vouching.hear(said(iat), HEAD, Instant(T + after + error, START.monotonic + after))
    assert vouching.now(Instant(T + 77, START.monotonic + 77)) == T + 15 + 30 + 62


def test_heartbeats_that_are_held_up_on_their_way_do_not_turn_the_time_back() -> None:
    vouching = heard(T)
    for after in range(5, 200, 5):
        at = Instant(T + after - 3_600, START.monotonic + after)  # the wall clock was set back by an hour
        vouching.hear(said(T + after // 2), HEAD, at)
        assert vouching.now(at) == T + after


def test_a_bus_that_delays_as_much_as_the_wall_clock_is_behind_turns_no_time_back() -> None:
    # At a stroke: the clock is set back, and everything is held up for as long.
    vouching = heard(T)
    for after in range(605, 900, 5):
        at = Instant(T + after - 600, START.monotonic + after)
        late = said(T + after - 600)
        vouching.hear(late, HEAD, at)
        assert at.wall + 600 - vouching.now(at) <= 10
        assert vouching.clocks_differ(late.heartbeat, at)
    # Bit by bit: it loses one second in a hundred, and the delay grows with it.
    vouching = heard(T)
    for after in range(5, 20_000, 5):
        slow = after // 100
        at = Instant(T + after - slow, START.monotonic + after)
        vouching.hear(said(T + after - slow), HEAD, at)
        assert T + after - vouching.now(at) <= 10
    last = Instant(T + 19_995 - 199, START.monotonic + 19_995)
    assert vouching.clocks_differ(said(T + 19_995 - 199).heartbeat, last)


def test_a_wall_clock_that_was_ahead_for_a_while_leaves_no_trace() -> None:
    vouching = heard(T)
    for after in range(5, 300, 5):
        error = 3_600 if 50 <= after < 100 else 0
        at = Instant(T + after + error, START.monotonic + after)
        vouching.hear(said(T + after), HEAD, at)
        assert vouching.now(at) == at.wall


def test_agreement_is_counted_from_after_a_silence() -> None:
    vouching = heard(T + 9)
    for after in (5, 105, 110, 160, 165):
        at = Instant(T + after, START.monotonic + after)
        vouching.hear(said(T + after), HEAD, at)
        assert vouching.now(at) == at.wall + 9
    for after in range(170, 230, 10):
        at = Instant(T + after, START.monotonic + after)
        vouching.hear(said(T + after), HEAD, at)
    assert vouching.now(Instant(T + 220, START.monotonic + 220)) == T + 220


def test_setting_the_wall_clock_back_makes_no_heartbeat_one_from_the_future() -> None:
    vouching = heard(T)
    for after in range(5, 100, 5):
        at = Instant(T + after - 3_600, START.monotonic + after)
        assert not vouching.is_ahead_of_time(said(T + after).heartbeat, at)
        vouching.hear(said(T + after), HEAD, at)
    at = Instant(T + 95 - 3_600, START.monotonic + 95)
    assert vouching.is_ahead_of_time(said(T + 95 + 11).heartbeat, at)


def test_an_issuer_whose_clock_was_set_back_shows() -> None:
    vouching = heard(T)
    found = []
    for after in range(5, 60, 5):
        late = said(T + after - 3_600).heartbeat
        assert not vouching.is_news(late)
        found.append(vouching.clocks_differ(late, Instant(T + after, START.monotonic + after)))
    assert found[:3] == [False] * 3
    assert found[-1]


def test_a_new_epoch_is_not_vouched_for_by_the_old_one() -> None:
    vouching = heard(T)
    vouching.doubted = True
    vouching.hear(said(T + 5, NEXT), HEAD, START)
    vouching.begin_epoch()
    assert (vouching.vouched_at, vouching.ahead, vouching.doubted) == (None, None, False)
    assert vouching.now(START) == T + 5
    assert vouching.is_news(said(T - 5, Head(Position(2, 1), b"x" * 32)).heartbeat)


@pytest.mark.parametrize("odd", [0.0, CLOCK_STEP_TOLERANCE, -CLOCK_STEP_TOLERANCE])
@pytest.mark.parametrize("more", [0.0, 0.25])
def test_late_heartbeats_are_in_step_as_long_as_they_come_about_as_far_apart_as_they_were_sent(
    odd: float, more: float
) -> None:
    def shows(iat: int, passed: float) -> bool:
        at = Instant(T + 100 + passed, 1_000 + passed)
        vouching.hear(said(iat), HEAD, at)
        return vouching.clocks_differ(said(iat).heartbeat, at)

    vouching = Vouching()
    assert not shows(T, 0.0)
    assert shows(T + 15, 15 + odd + (more if odd >= 0 else -more)) == (abs(odd) + more <= CLOCK_STEP_TOLERANCE)


def test_clocks_that_are_just_as_far_apart_as_good_ones_can_be_agree() -> None:
    vouching = heard(T + 9)
    for after in range(20, 100, 5):
        at = Instant(T + after, START.monotonic + after)
        vouching.hear(said(T + after - CLOCK_TOLERANCE), HEAD, at)
    last = Instant(T + 95, START.monotonic + 95)
    assert vouching.now(last) == last.wall


@pytest.mark.parametrize(("every", "agreed"), [(FRESH_FOR, True), (FRESH_FOR + 1, False)])
def test_clocks_have_agreed_only_as_long_as_heartbeats_came_often_enough_to_stay_fresh(
    every: int, agreed: bool
) -> None:
    vouching = heard(T + 9)
    for after in range(every, 10 * every, every):
        at = Instant(T + after, START.monotonic + after)
        vouching.hear(said(T + after), HEAD, at)
    last = Instant(T + 9 * every, START.monotonic + 9 * every)
    assert vouching.now(last) - last.wall == (0 if agreed else 9)
