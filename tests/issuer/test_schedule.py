"""The life of token keys, as pure functions of the rows and the time."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from ostraka_issuer.errors import Conflict, NotFound
from ostraka_issuer.keys import schedule
from ostraka_issuer.keys.schedule import KeyPolicy, Step
from ostraka_issuer.store.keys import TokenKeyRow, key_set
from ostraka_schemas.jwk import SigningKey

NOW = 1_800_000_000.0
POLICY = KeyPolicy("ES256", token_lifetime=300, lead=3_600, lifetime=90 * 24 * 3_600, keys_max=4)
KEYS = [SigningKey.generate("ES256") for _ in range(6)]
LETTERS = "ABCDEF"


def row(name: str, state: str, **values: Any) -> TokenKeyRow:
    key = KEYS[LETTERS.index(name)]
    made = schedule.new_row(key.public, POLICY, nbf=int(NOW), now=NOW, txn=f"made {name}")
    changes = {"state": state, "announced_at": NOW, "published": True, "jwk": {**made.jwk, "kid": name}, "kid": name}
    return replace(made, **{**changes, **values})


def names(rows: Iterable[TokenKeyRow]) -> dict[str, str]:
    return {row.kid: row.state for row in rows}


def signer(*rows: TokenKeyRow, now: float = NOW) -> str | None:
    found = schedule.choose_signer(rows, now)
    return None if found is None else found.kid


def test_a_new_key_is_active_only_if_its_time_has_come() -> None:
    key = KEYS[0].public
    assert schedule.new_row(key, POLICY, nbf=int(NOW), now=NOW, txn="t").state == "active"
    assert schedule.new_row(key, POLICY, nbf=int(NOW) + 1, now=NOW, txn="t").state == "pre-activation"


# --- who signs -------------------------------------------------------------------------------------------------------


def test_nobody_signs_before_the_feed_has_said_so() -> None:
    assert signer() is None
    assert signer(row("A", "active", announced_at=None)) is None
    assert signer(row("A", "pre-activation")) is None
    assert signer(row("A", "active")) == "A"


def test_the_predecessor_goes_on_until_the_successors_event_has_its_place() -> None:
    before = [row("A", "active"), row("B", "pre-activation")]
    assert signer(*before) == "A"
    after = schedule.merge(before, schedule.activated(before, NOW, "t"))
    assert names(after) == {"A": "deactivated", "B": "active"}
    assert signer(*after) == "A"
    announced = [replace(row, announced_at=NOW) for row in after]
    assert signer(*announced) == "B"


def test_two_rotations_that_the_feed_has_not_said_yet() -> None:
    """It is the feed that counts, however far the decisions have gone."""
    a, b, c = row("A", "deactivated"), row("B", "deactivated"), row("C", "active")
    b, c = replace(b, nbf=int(NOW) + 1), replace(c, nbf=int(NOW) + 2)
    none = [replace(r, announced_at=None) for r in (a, b, c)]
    assert signer(*none, now=NOW + 5) == "A"
    assert signer(a, *none[1:], now=NOW + 5) == "B"
    assert signer(a, b, none[2], now=NOW + 5) is None
    assert signer(a, b, c, now=NOW + 5) == "C"


def test_a_compromised_key_signs_nothing_announced_or_not() -> None:
    rows = [row("A", "active")]
    changed = [schedule.compromised(rows, "A", NOW, "t")]
    assert signer(*schedule.merge(rows, changed)) is None
    fresh = schedule.new_row(KEYS[1].public, POLICY, nbf=int(NOW), now=NOW, txn="t")
    both = schedule.merge(rows, [*changed, fresh])
    assert signer(*both) is None
    assert signer(*[replace(row, announced_at=NOW) for row in both]) == fresh.kid


def test_a_key_stops_signing_before_its_last_token_would_outlive_it() -> None:
    a = row("A", "active")
    last = a.exp - 300 - 10
    assert signer(a, now=last) == "A"
    assert signer(a, now=last + 1) is None


# --- what is due -----------------------------------------------------------------------------------------------------


def test_nothing_is_due_until_a_successor_is_needed() -> None:
    a = row("A", "active")
    due = schedule.due([a], NOW, POLICY)
    assert due.step is None
    assert due.at == schedule.last_signing(a) - POLICY.lead
    assert schedule.due([a], due.at - 1, POLICY).step is None
    assert schedule.due([a], due.at, POLICY).step is Step.SUCCEED


def test_a_successor_becomes_active_when_its_time_has_come_and_the_bus_has_it() -> None:
    b = row("B", "pre-activation", nbf=int(NOW) + 60)
    rows = [row("A", "active"), b]
    assert schedule.due(rows, NOW + 59, POLICY).step is None
    assert schedule.due(rows, NOW + 60, POLICY).step is Step.ACTIVATE
    assert schedule.due([rows[0], replace(b, published=False)], NOW + 600, POLICY).step is None


def test_without_an_active_key_a_successor_is_due_at_once() -> None:
    assert schedule.due([], NOW, POLICY).step is Step.SUCCEED
    assert schedule.due([row("A", "compromised")], NOW, POLICY).step is Step.SUCCEED
    long_ago = row("A", "active", exp=int(NOW) - 1)
    assert schedule.due([long_ago], NOW, POLICY).step is Step.SUCCEED


def test_a_key_is_destroyed_when_its_last_token_has_ended_counted_from_the_announcement() -> None:
    rows = [row("A", "deactivated", state_at=NOW - 9_999), row("B", "active")]
    gone = NOW + 300 + 20
    assert schedule.due(rows, gone - 1, POLICY).step is None
    assert schedule.due(rows, gone, POLICY).step is Step.DESTROY
    assert names(schedule.destroyed(rows, gone, POLICY, "t")) == {"A": "destroyed"}
    waiting = [replace(rows[0], announced_at=None), rows[1]]
    assert schedule.due(waiting, gone * 2, POLICY).step is not Step.DESTROY
    late = replace(POLICY, late=1_000)
    assert schedule.due(rows, gone, late).step is None
    assert schedule.due(rows, gone + 1_000, late).step is Step.DESTROY


def test_when_a_successor_begins() -> None:
    a = row("A", "active")
    assert schedule.succession([a], NOW, 60) == int(NOW) + 61
    assert schedule.succession([], NOW, 3_600) == int(NOW) + 1, "without an active key there is nothing to wait for"
    soon_silent = replace(a, exp=int(NOW) + 310 + 30)
    assert schedule.succession([soon_silent], NOW, 3_600) == int(NOW) + 31


def test_a_waiting_successor_keeps_what_it_has_waited() -> None:
    b = row("B", "pre-activation", created_at=NOW, nbf=int(NOW) + 86_400)
    rows = [row("A", "active"), b]
    sooner = schedule.rescheduled(rows, b, POLICY, lead=60, now=NOW + 40, txn="t")
    assert (sooner.nbf, sooner.exp - sooner.nbf) == (int(NOW) + 61, POLICY.lifetime)
    assert schedule.rescheduled(rows, b, POLICY, lead=60, now=NOW + 500, txn="t").nbf == int(NOW) + 501
    assert (sooner.announced_at, sooner.published, sooner.state_txn) == (None, False, "t")


def test_a_successor_never_waits_longer_than_the_active_key_signs() -> None:
    """A second `keys rotate` with a longer lead would leave nobody to sign in between."""
    b = row("B", "pre-activation", created_at=NOW, nbf=int(NOW) + 1)
    cases = [
        (row("A", "active", exp=int(NOW) + 310 + 30), 31),
        (row("A", "active", exp=1), 1),
        (row("A", "compromised"), 1),
    ]
    for other, latest in cases:
        rows = [other, b]
        later = schedule.rescheduled(rows, b, POLICY, lead=86_400, now=NOW, txn="t")
        assert later.nbf == int(NOW) + latest


# --- emergencies -----------------------------------------------------------------------------------------------------


def test_compromise_asks_for_a_key_that_can_be() -> None:
    rows = [row("A", "compromised"), row("B", "destroyed")]
    for kid, error in (("A", Conflict), ("B", Conflict), ("Z", NotFound)):
        with pytest.raises(error):
            schedule.compromised(rows, kid, NOW, "t")
    for state in ("active", "pre-activation", "deactivated"):
        assert schedule.compromised([row("A", state)], "A", NOW, "t").state == "compromised"


def test_a_full_key_set_makes_room_for_the_successor_of_a_compromised_key() -> None:
    rows = [
        row("A", "deactivated", state_at=NOW - 100),
        row("B", "deactivated", state_at=NOW - 50),
        row("C", "compromised", state_at=NOW),
        row("D", "active"),
    ]
    assert names(schedule.crowded_out(rows, NOW, POLICY, "t")) == {"C": "destroyed"}
    without = [row for row in rows if row.kid != "C"]
    assert schedule.crowded_out(without, NOW, POLICY, "t") == []
    deactivated = [replace(row, state="deactivated") if row.kid == "C" else row for row in rows]
    assert names(schedule.crowded_out(deactivated, NOW, POLICY, "t")) == {"A": "destroyed"}


def test_the_published_set_leaves_out_destroyed_keys() -> None:
    key = KEYS[1].public.to_jwk()
    event = key_set([replace(row("A", "destroyed")), replace(row("B", "active"), jwk=key)])
    assert [published.state for published in event.keys] == ["active"]
    assert schedule.published_count([row("A", "destroyed"), row("B", "active")]) == 1


def test_merging_keeps_the_order() -> None:
    rows = [row("A", "active"), row("B", "pre-activation")]
    merged = schedule.merge(rows, [row("C", "active"), row("A", "deactivated")])
    assert names(merged) == {"A": "deactivated", "B": "pre-activation", "C": "active"}
    assert [row.kid for row in merged] == ["A", "B", "C"]
