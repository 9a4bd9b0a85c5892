"""Live grants: what ends them, and that whoever cannot be meant is not even looked at."""

import math
from collections.abc import Callable

import pytest

from ostraka_consumers import Expired, PermissionDenied, Revoked, any_of
from ostraka_consumers.limits import LIVE_SLICE
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.groups import Groups
from ostraka_consumers.trust.lapse import Patience, why_over
from ostraka_consumers.trust.live import Held, LiveGrants
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas.jwk import SigningKey
from tests.consumers.trust.feed import Fed
from tests.consumers.trust.hall import AS_EVER, Hall
from tests.support.fake_issuer import FakeIssuer, published

MANY = 3 * LIVE_SLICE
SAYINGS: dict[str, Callable[[FakeIssuer], bytes]] = {
    "token": lambda issuer: issuer.revoke_token("t", issuer.now + 300),
    "tokens": lambda issuer: issuer.revoke_tokens(("x", issuer.now + 300), ("t", issuer.now + 300)),
    "session": lambda issuer: issuer.cut_session("alice", "s"),
    "subject": lambda issuer: issuer.cut_subject("alice"),
    "client": lambda issuer: issuer.cut_client("web"),
}


# --- records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", SAYINGS)
def test_a_revocation_ends_whom_it_names_and_looks_at_nobody_else(said: str) -> None:
    hall = Hall()
    hall.crowd(MANY, asked=("orders:create",))
    hall.hold("it", jti="t", sid="s", asked=("orders:read",))
    hall.take(SAYINGS[said](hall.issuer))
    assert hall.ends == {"it": "revoked"}
    assert hall.grants.looks == 1
    assert len(hall.grants) == MANY


@pytest.mark.parametrize("said", ["somebody else's token", "somebody else", "nothing", "keys of nobody here"])
def test_what_concerns_nobody_costs_no_look(said: str) -> None:
    hall = Hall()
    issuer = hall.issuer
    hall.crowd(MANY, asked=("orders:create",))
    key = published(SigningKey.generate("ES256"), now=issuer.now, state="pre-activation")
    sayings: dict[str, Callable[[], bytes]] = {
        "somebody else's token": lambda: issuer.revoke_token("no", issuer.now + 300),
        "somebody else": lambda: issuer.cut_subject("nobody"),
        "nothing": issuer.heartbeat,
        "keys of nobody here": lambda: issuer.publish_keys(published(issuer.token_key, now=issuer.now), key),
    }
    hall.take(sayings[said]())
    assert (hall.grants.looks, hall.ends) == (0, {})


def test_a_permission_that_is_revoked_concerns_those_who_were_asked_for_it() -> None:
    hall = Hall()
    hall.crowd(MANY, asked=("orders:read",))
    hall.hold("asked", asked=("orders:create",))
    hall.hold("not asked")
    hall.hold("either", asked=(any_of("orders:create", "orders:read"),))
    hall.hold("all", permissions=["orders:*"], asked=("orders:*",))
    hall.take(hall.issuer.revoke_permission("*:create"))
    assert hall.ends == {"asked": "permission_denied", "all": "permission_denied"}
    assert hall.grants.looks == 3
    hall.take(hall.issuer.revoke_permission("orders:read"))
    assert hall.ends.keys() >= {"either", "person 0"}
    assert hall.grants.held == {held for held in hall.grants.held if not held.asked}


def test_a_claims_change_ends_those_who_were_asked_for_more_than_is_left() -> None:
    hall = Hall()
    hall.crowd(MANY, asked=("orders:create",))
    hall.hold("less", asked=("orders:read",))
    hall.hold("more", asked=("orders:read", "orders:create"))
    hall.hold("nothing")
    hall.take(hall.issuer.keep_only("alice", "orders:read"))
    assert hall.ends == {"more": "permission_denied"}
    assert hall.grants.looks == 3


def test_what_came_before_the_token_does_not_end_it() -> None:
    hall = Hall()
    before = [hall.issuer.cut_subject("alice"), hall.issuer.keep_only("alice"), hall.issuer.cut_everyone()]
    hall.hold("it", asked=("orders:read",))
    for raw in before:
        hall.take(raw)
    assert hall.ends == {}
    assert hall.grants.looks == 3


def test_a_grant_is_watched_from_now_on_and_not_if_it_is_over() -> None:
    hall = Hall()
    token = hall.fed.genuine()
    hall.take(hall.issuer.revoke_permission("orders:create"))
    with pytest.raises(PermissionDenied, match="this needs the permission orders:create"):
        hall.hold_token("it", token, ("orders:create",))
    hall.take(hall.issuer.cut_everyone())
    with pytest.raises(Revoked, match="every older token is cut off"):
        hall.hold_token("it", token)
    assert len(hall.grants) == 0


def test_several_may_hold_the_same_and_whoever_lets_go_is_told_nothing() -> None:
    hall = Hall()
    token = hall.fed.genuine()
    first, second, third = (hall.hold_token(name, token) for name in ("first", "second", "third"))
    hall.grants.discard(second)
    hall.grants.discard(second)
    assert second not in hall.grants
    assert first in hall.grants
    hall.take(hall.issuer.cut_subject("alice"), settle=False)
    hall.grants.discard(third)
    hall.settle()
    assert hall.ends == {"first": "revoked"}
    assert len(hall.grants) == 0


def test_who_is_let_go_while_many_wait_is_told_nothing() -> None:
    hall = Hall()
    crowd = hall.crowd(MANY)
    hall.take(hall.issuer.cut_everyone(), settle=False)
    for held in crowd[:MANY:2]:
        hall.grants.discard(held)
    hall.settle()
    assert hall.ends.keys() == {f"person {n}" for n in range(1, MANY, 2)}


def test_of_what_happened_before_anybody_was_held_nobody_is_asked() -> None:
    fed = Fed(opened=False)
    grants = LiveGrants(fed.core)
    for raw in (*fed.issuer.open(), fed.issuer.heartbeat()):
        fed.take(raw)
    grants.add(Held(fed.genuine(), (), AS_EVER, lambda _: None))
    grants.notice(fed.beat().applied, fed.issuer.clock.now())
    assert not grants.settle(fed.issuer.clock.now())
    assert grants.looks == 0


def test_who_is_let_go_leaves_nothing_behind() -> None:
    hall = Hall()
    for held in hall.crowd(100, asked=("orders:read", any_of("orders:create", "*:*"))[:1]):
        hall.grants.discard(held)
    left = {name: value for name, value in vars(hall.grants).items() if isinstance(value, Groups | set) and len(value)}
    assert left == {"_ordered": {hall.issuer.now + 300}}
    hall.wait(300)
    assert vars(hall.grants)["_ordered"] == set()
    assert hall.until_next is None


# --- what may bring anything -----------------------------------------------------------------------------------------


def test_everyone_is_asked_in_slices_and_one_revocation_does_not_wait_for_them() -> None:
    hall = Hall()
    hall.crowd(MANY)
    hall.take(hall.issuer.cut_everyone(), settle=False)
    hall.hold("later", jti="t")
    hall.take(hall.issuer.revoke_token("t", hall.issuer.now + 300), settle=False)
    assert hall.grants.settle(hall.issuer.clock.now(), 10)
    assert hall.ends["later"] == "revoked"
    assert len(hall.ends) == hall.grants.looks == 10
    hall.settle()
    assert hall.grants.looks == MANY + 1
    assert set(hall.ends.values()) == {"revoked"}
    assert len(hall.grants) == 0


def test_who_waits_to_be_asked_waits_once() -> None:
    hall = Hall()
    hall.crowd(MANY)
    for _ in range(5):
        hall.take(hall.issuer.cut_client("cron"), settle=False)
    hall.settle()
    assert hall.grants.looks == MANY


def test_a_client_of_many_is_cut_off() -> None:
    hall = Hall()
    hall.crowd(MANY)
    hall.hold("other")
    hall.take(hall.issuer.cut_client("cron"))
    assert hall.ends == {f"person {n}": "revoked" for n in range(MANY)}
    assert hall.grants.looks == MANY


def test_a_snapshot_may_bring_anything() -> None:
    hall = Hall()
    issuer = hall.issuer
    hall.hold("alice")
    hall.hold("bob", sub="bob")
    other = TrustCore(issuer.anchor)
    for raw in [*issuer.records, issuer.cut_subject("alice"), issuer.cut_session("nobody", "x"), issuer.heartbeat()]:
        other.receive(raw, issuer.clock.now())
    assert other.state is not None
    (part,) = issuer.snapshot(other.state)
    assert hall.take(part).outcome is Outcome.SNAPSHOT
    issuer.clock.advance(1)
    hall.take(issuer.heartbeat())
    assert hall.ends == {"alice": "revoked"}
    assert hall.grants.looks == 2


def test_a_new_epoch_cuts_everyone_off() -> None:
    hall = Hall()
    hall.hold("alice")
    (raw, *_) = hall.issuer.adopt_root(hall.issuer.next_root(epoch=2))
    hall.take(raw)
    assert hall.ends == {"alice": "revoked"}


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "compromised"}, "key_compromised"),
        ({"state": "destroyed"}, "unknown_key"),
        ({"state": "deactivated"}, None),
        ({"lifetime": 299}, "unknown_key"),
        ({"nbf": 1_800_000_000 + 11}, "unknown_key"),
        ({"nbf": 1_800_000_000 + 10}, None),
        (None, "unknown_key"),
    ],
)
def test_a_key_set_ends_those_of_keys_that_no_longer_allow_it(
    change: dict[str, object] | None, reason: str | None
) -> None:
    hall = Hall()
    issuer = hall.issuer
    second = SigningKey.generate("ES256")
    both = [published(issuer.token_key, now=issuer.now), published(second, now=issuer.now)]
    hall.take(issuer.publish_keys(*both))
    hall.hold("it")
    for n in range(50):
        hall.hold_token(f"other {n}", hall.fed.reader.read(issuer.token(key=second), hall.fed.core.keys))
    left = both[1:] if change is None else [published(issuer.token_key, now=issuer.now, **change), both[1]]  # type: ignore[arg-type]
    hall.take(issuer.publish_keys(*left))
    assert hall.ends == ({} if reason is None else {"it": reason})
    assert hall.grants.looks == 1


def test_another_key_of_the_same_name_ends_those_of_the_first() -> None:
    hall = Hall()
    issuer = hall.issuer
    hall.hold("it")
    entry = published(SigningKey.generate("ES256"), now=issuer.now)
    entry = entry.model_copy(update={"jwk": {**entry.jwk, "kid": issuer.token_key.kid}})
    hall.take(issuer.publish_keys(entry))
    assert hall.ends == {"it": "unknown_key"}


def test_a_root_document_that_allows_the_key_no_more_ends_its_grants() -> None:
    hall = Hall()
    hall.hold("it")
    limits = hall.issuer.root.limits.model_copy(update={"token_algorithms": ["EdDSA"]})
    for raw in hall.issuer.adopt_root(hall.issuer.next_root(limits=limits.model_dump())):
        hall.take(raw)
    assert hall.ends == {"it": "unknown_key"}


# --- time ------------------------------------------------------------------------------------------------------------


def test_grants_end_in_their_second_and_those_with_time_are_not_looked_at() -> None:
    hall = Hall()
    hall.crowd(MANY)
    for seconds in (20, 10, 30, 10):
        hall.hold(f"{seconds} {len(hall.grants)}", exp=hall.issuer.now + seconds)
    assert hall.until_next == 10
    hall.wait(9.5)
    assert hall.ends == {}
    hall.wait(0.5)
    assert list(hall.ends.values()) == ["expired"] * 2
    assert hall.grants.looks == 2
    assert hall.until_next == 10
    hall.wait(10)
    hall.wait(10)
    assert len(hall.ends) == hall.grants.looks == 4


def test_those_who_bear_less_end_first_when_there_is_no_news() -> None:
    hall = Hall()
    hall.hold("strict", patience=Patience(15, grace=False))
    hall.hold("ever")
    hall.hold("grace", patience=Patience(15, grace=True))
    assert hall.until_next == 15
    hall.wait(15, beating=False)
    assert hall.ends == {}
    hall.wait(0.5, beating=False)
    assert hall.ends == {"strict": "stale"}
    hall.wait(44.5, beating=False)
    assert hall.until_next == 0
    assert hall.ends == {"strict": "stale"}
    hall.wait(0.5, beating=False)
    assert hall.ends == {"strict": "stale", "ever": "stale"}
    hall.wait(300, beating=False)
    assert hall.ends == {"strict": "stale", "ever": "stale", "grace": "expired"}
    assert hall.grants.looks == 3


def test_news_keep_them_alive_and_each_outage_counts_from_the_last() -> None:
    hall = Hall()
    hall.hold("it", patience=Patience(15, grace=False), exp=hall.issuer.now + 300)
    for _ in range(10):
        hall.wait(15)
    assert hall.ends == {}
    hall.wait(15.5, beating=False)
    assert hall.ends == {"it": "stale"}


def test_grace_ends_with_doubt() -> None:
    hall = Hall()
    hall.hold("it", patience=Patience(15, grace=True))
    hall.wait(40, beating=False)
    twin = hall.issuer.sign_payload(hall.issuer.payload({"urn:x": {}}, seq=2))
    assert hall.take(twin).outcome is Outcome.EQUIVOCATION
    assert hall.ends == {"it": "stale"}


def test_an_outage_that_was_noticed_and_ended_is_noticed_again() -> None:
    """Between notice and look the clock was set back, or news came: then nobody ends, and the next time counts."""
    hall = Hall()
    hall.hold("it", exp=hall.issuer.now + 300)
    hall.issuer.clock.advance(61)
    hall.grants.look(hall.issuer.clock.now())
    hall.take(hall.issuer.heartbeat())
    assert (hall.ends, hall.grants.looks) == ({}, 1)
    hall.issuer.clock.step_wall(200)
    hall.grants.look(hall.issuer.clock.now())
    hall.issuer.clock.step_wall(-200)
    hall.settle()
    assert hall.ends == {}
    hall.wait(240)
    assert hall.ends == {"it": "expired"}


def test_what_has_been_noticed_needs_no_timer() -> None:
    hall = Hall()
    patience = Patience(20, grace=False)
    first, second = hall.hold("first", patience=patience), hall.hold("second", patience=patience)
    hall.issuer.clock.advance(21)
    hall.grants.look(hall.issuer.clock.now())
    assert hall.until_next == 279
    hall.grants.discard(first)
    assert hall.until_next == 279
    hall.grants.discard(second)
    assert vars(hall.grants)["_out"] == set()
    hall.hold("third", patience=Patience(50, grace=False))
    hall.issuer.clock.advance(300)
    hall.grants.look(hall.issuer.clock.now())
    assert hall.until_next == math.inf
    hall.settle()
    assert hall.ends == {"third": "expired"}


def test_who_lives_on_after_the_clock_was_set_back_needs_the_timer_again() -> None:
    hall = Hall()
    hall.hold("it", patience=Patience(20, grace=False))
    hall.issuer.clock.step_wall(30)
    hall.grants.look(hall.issuer.clock.now())
    hall.issuer.clock.step_wall(-30)
    hall.settle()
    assert (hall.ends, hall.until_next) == ({}, 20)


def test_so_does_who_comes_meanwhile() -> None:
    hall = Hall()
    patience = Patience(20, grace=False)
    hall.hold("it", patience=patience)
    hall.issuer.clock.step_wall(30)
    hall.grants.look(hall.issuer.clock.now())
    hall.issuer.clock.step_wall(-30)
    hall.hold("another", patience=patience)
    assert hall.until_next == 20


def test_what_the_issuers_clock_has_once_said_ends_a_grant() -> None:
    fed = Fed()
    short, longer = (fed.genuine(exp=fed.issuer.now + seconds) for seconds in (8, 9))
    fed.beat(iat=fed.issuer.now + 9)
    over = why_over(fed.core, short, (), AS_EVER, fed.issuer.now)
    assert over is not None
    assert over.code == "stale"
    assert why_over(fed.core, longer, (), AS_EVER, fed.issuer.now) is None


def test_a_clock_that_is_set_back_ends_nothing() -> None:
    hall = Hall(FakeIssuer())
    hall.hold("it")
    hall.issuer.clock.step_wall(-3_600)
    hall.take(hall.issuer.cut_subject("somebody else"))
    hall.take(hall.issuer.keep_only("alice"))
    hall.look()
    assert hall.ends == {}


def test_nothing_held_needs_no_timer_and_grace_none_but_for_the_end() -> None:
    hall = Hall()
    assert hall.grants.until_next(hall.issuer.clock.now()) is None
    held = hall.hold("it", patience=Patience(15, grace=True))
    hall.wait(100, beating=False)
    assert hall.until_next == 200
    assert hall.grants.lasts(held, hall.issuer.clock.now()) == 200
    assert hall.grants.lasts(Held(held.token, (), AS_EVER, held.tell), hall.issuer.clock.now()) == -40
    assert AS_EVER.left(hall.fed.core, hall.issuer.clock.now()) == -40
    assert math.isinf(Patience(15, grace=True).left(hall.fed.core, hall.issuer.clock.now()))
    with pytest.raises(Expired):
        hall.hold("gone", iat=hall.issuer.now - 10, exp=hall.issuer.now)


# --- groups ----------------------------------------------------------------------------------------------------------


def test_groups_of_none_one_and_more() -> None:
    groups: Groups[str, object] = Groups()
    first, second = object(), object()
    assert (list(groups.of("a")), len(groups)) == ([], 0)
    groups.discard("a", first)
    groups.add("a", first)
    groups.add("a", first)
    assert list(groups.of("a")) == [first]
    groups.discard("a", second)
    groups.add("a", second)
    groups.add("b", second)
    assert (set(groups.of("a")), sorted(groups)) == ({first, second}, ["a", "b"])
    groups.discard("a", first)
    assert list(groups.of("a")) == [second]
    groups.discard("a", second)
    assert "a" not in groups
    assert "b" in groups
