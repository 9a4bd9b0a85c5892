import pytest

from ostraka_consumers.trust.freshness import Freshness, Statement, Vouching, newest
from ostraka_consumers.trust.instant import Instant
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
