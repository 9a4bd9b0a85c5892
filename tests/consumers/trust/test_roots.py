"""From one root document to the next. Whatever is refused must leave the version that was in force, and all else."""

from typing import Any, NamedTuple

import pytest

from ostraka_consumers.trust.alarms import Alarm
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas import base64url, strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import ROOT_WIRE_MAX_BYTES
from ostraka_schemas.root import (
    FeedRole,
    Limits,
    RootDocument,
    RootRole,
    draft_root,
    read_root_unverified,
    root_bytes,
    sign_root,
    signers,
    verify_first_root,
    verify_next_root,
    with_signature,
)
from tests.consumers.trust.feed import Fed, positions
from tests.schemas.keys import signing_key
from tests.support.fake_issuer import YEAR, FakeIssuer, published

KEYS = [signing_key("EdDSA", number) for number in range(30, 40)]


class Version(NamedTuple):
    """Root keys by number, how many must sign, who did."""

    keys: tuple[int, ...]
    threshold: int
    signed: tuple[int, ...]


V = Version
FIVE = (0, 1, 2, 3, 4)
NEXT_FIVE = (0, 1, 3, 4, 5)

GOOD: dict[str, list[Version]] = {
    "1 of 1, rotated": [V((1,), 1, (1,)), V((2,), 1, (2, 1)), V((2,), 1, (2,))],
    "1 of 1, rotated, with signatures nobody needs": [
        V((1,), 1, (3, 1, 4)),
        V((2,), 1, (3, 2, 1, 4)),
        V((2,), 1, (3, 2, 4)),
    ],
    "3 of 5, signed by others each time": [
        V(FIVE, 3, (0, 2, 4)),
        V(FIVE, 3, (0, 4, 1)),
        V(FIVE, 3, (0, 1, 3)),
        V(FIVE, 3, (1, 2, 3)),
    ],
    "3 of 5, one replaced": [V(FIVE, 3, (0, 2, 4)), V(NEXT_FIVE, 3, (0, 4, 1))],
    "3 of 5, one replaced, signed by both sides": [
        V(FIVE, 3, (0, 2, 4)),
        V(NEXT_FIVE, 3, (0, 2, 4, 5)),
        V(NEXT_FIVE, 3, (0, 4, 5)),
    ],
    "3 of 5, all replaced": [
        V(FIVE, 3, (0, 2, 4)),
        V((5, 6, 7, 8, 9), 3, (0, 2, 4, 5, 6, 7)),
        V((5, 6, 7, 8, 9), 3, (5, 6, 7)),
    ],
    "threshold raised": [V((1, 2, 3), 1, (1,)), V((1, 2, 3), 2, (1, 2))],
    "threshold lowered": [V((1, 2, 3), 2, (1, 2)), V((1, 2, 3), 1, (1, 2)), V((1, 2, 3), 1, (1,))],
    "a key added and needed": [V((1,), 1, (1,)), V((1, 2), 2, (1, 2))],
}
BAD: dict[str, list[Version]] = {
    "1 of 1, signed by the new one only": [V((1,), 1, (1,)), V((2,), 1, (2, 3, 4))],
    "1 of 1, signed by the old one only": [V((1,), 1, (1,)), V((2,), 1, (1, 3, 4))],
    "3 of 5, one replaced, two of the new": [V(FIVE, 3, (0, 2, 4)), V(NEXT_FIVE, 3, (0, 2, 4))],
    "3 of 5, one replaced, two of the old": [V(FIVE, 3, (0, 2, 4)), V(NEXT_FIVE, 3, (0, 4, 5))],
    "threshold raised and not met": [V((1, 2, 3), 1, (1,)), V((1, 2, 3), 2, (2,))],
    "threshold lowered by too few": [V((1, 2, 3), 2, (1, 2)), V((1, 2, 3), 1, (1,))],
    "signed by strangers": [V((1,), 1, (1,)), V((1,), 1, (8, 9))],
    "all replaced, signed by the new only": [V(FIVE, 3, (0, 2, 4)), V((5, 6, 7, 8, 9), 3, (5, 6, 7, 8, 9))],
}


def role(version: Version) -> dict[str, Any]:
    return {"keys": [KEYS[n].public.to_jwk() for n in version.keys], "threshold": version.threshold}


def who(version: Version) -> list[SigningKey]:
    return [KEYS[n] for n in version.signed]


class Walk:
    """A core that is deployed with the root keys of the first of some versions, and the issuer that signs them."""

    def __init__(self, first: Version) -> None:
        self.issuer = FakeIssuer()
        self.issuer.root = self.issuer.root.model_copy(update={"root": RootRole.model_validate(role(first))})
        self.issuer.signed_roots = [sign_root(self.issuer.root, who(first))]
        self.fed = Fed(self.issuer, opened=False)

    def sign(self, version: Version, **changes: Any) -> dict[str, Any]:
        return self.issuer.next_root(signers=who(version), root=role(version), **changes)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in records"])
def test_a_chain_signed_by_both_thresholds_is_walked(name: str, alone: bool) -> None:
    first, *later = GOOD[name]
    walk = Walk(first)
    for raw in walk.issuer.open():
        assert walk.fed.take(raw).outcome is Outcome.APPLIED
    for version in later:
        value = walk.sign(version)
        (record,) = walk.issuer.adopt_root(value)
        if alone:
            assert walk.fed.take(root_bytes(value)).outcome is Outcome.ROOT
            assert walk.fed.core.root_version == walk.issuer.root.version
        assert walk.fed.take(record).outcome is Outcome.APPLIED
        assert walk.fed.core.root_version == walk.issuer.root.version
    assert walk.fed.core.root_version == len(later) + 1
    assert walk.fed.beat().outcome is Outcome.HEARTBEAT
    assert (walk.fed.alarms, walk.fed.freshness) == (set(), "fresh")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a record"])
def test_a_version_that_a_threshold_did_not_sign_changes_nothing(name: str, alone: bool) -> None:
    first, second = BAD[name]
    walk = Walk(first)
    fed = walk.fed
    for raw in walk.issuer.open():
        fed.take(raw)
    fed.beat()
    before = fed.kept()
    value = walk.sign(second)
    if alone:
        assert fed.take(root_bytes(value))[:2] == (Outcome.REFUSED, "root_not_trusted")
        assert (fed.kept(), fed.alarms) == (before, set())
    else:
        record = walk.issuer.record(RootPublished(**value))
        assert positions(fed.take(record).applied) == [3]
        assert fed.alarms == {"root_refused"}
        assert fed.freshness == "stale"
        after = fed.kept()
        assert {**after, "head": before["head"], "records": before["records"]} == before
    assert (fed.core.root_version, fed.core.root_in_force) == (1, walk.issuer.root)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a version skipped": ({"version": 3}, "root_skips_version"),
    "a version far away": ({"version": 2**53 - 1}, "root_skips_version"),
    "an epoch skipped": ({"epoch": 3}, "malformed_root"),
    "another issuer": ({"iss": "https://other"}, "malformed_root"),
    "a threshold that nobody can meet": ({"root": {**role(V((0,), 1, ())), "threshold": 1}}, "root_not_trusted"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_version_that_does_not_follow_changes_nothing(name: str) -> None:
    changes, reason = WRONG[name]
    fed = Fed()
    before = fed.kept()
    assert fed.take(root_bytes(fed.issuer.next_root(**changes)))[:2] == (Outcome.REFUSED, reason)
    assert (fed.kept(), fed.alarms, fed.core.root_version) == (before, set(), 1)


def test_the_epoch_never_goes_back() -> None:
    fed = Fed()
    for raw in fed.issuer.adopt_root(fed.issuer.next_root(epoch=2)):
        fed.take(raw)
    before = fed.kept()
    with pytest.raises(WireError):
        verify_next_root(fed.issuer.next_root(epoch=1), fed.issuer.root)
    assert fed.take(root_bytes(fed.issuer.next_root(epoch=1)))[:2] == (Outcome.REFUSED, "malformed_root")
    assert fed.kept() == before


def test_an_older_version_and_the_same_again_have_no_effect() -> None:
    fed = Fed()
    second = fed.issuer.next_root(limits=Limits(token_keys=2))
    for raw in fed.issuer.adopt_root(second):
        fed.take(raw)
    before, other = fed.kept(), fed.issuer.root.model_copy(update={"limits": Limits(token_keys=9)})
    for raw in (*fed.issuer.root_files(), root_bytes(sign_root(other, [fed.issuer.root_key]))):
        assert fed.take(raw)[:2] == (Outcome.DUPLICATE, "older_root")
    assert (fed.kept(), fed.core.root_version) == (before, 2)
    assert fed.core.state is not None
    assert fed.core.state.root.limits.token_keys == 2


@pytest.mark.parametrize(
    "raw", [b"{", b"{}", b'{"payload":"e30","signatures":[]}', b"{" + b" " * ROOT_WIRE_MAX_BYTES + b"}", b'{"a":1}']
)
def test_json_that_is_no_root_document_is_refused(raw: bytes) -> None:
    for fed in (Fed(), Fed(opened=False)):
        before = fed.kept()
        assert fed.take(raw)[:2] == (Outcome.REFUSED, "malformed_root")
        assert fed.kept() == before


def test_from_the_first_version_to_the_fortieth_and_no_further_than_the_chain_goes() -> None:
    issuer = FakeIssuer()
    fed = Fed(issuer, opened=False)
    values = [issuer.signed_roots[0]]
    key = issuer.root_key
    for number in range(2, 41):
        following = signing_key("EdDSA", 100 + number)
        issuer.clock.advance(YEAR / 2)
        content = {"keys": [following.public.to_jwk()], "threshold": 1}
        value = issuer.next_root(signers=[key, following], root=content, exp=issuer.now + YEAR)
        issuer.root, key = read_root_unverified(value), following
        values.append(value)
    files = [root_bytes(value) for value in values]
    for raw in files[:16]:
        assert fed.take(raw).outcome is Outcome.ROOT
    # Most of them have expired long ago; the walk does not mind. A hole ends it.
    for raw in files[17:]:
        assert fed.take(raw)[:2] == (Outcome.REFUSED, "root_skips_version")
    assert fed.core.root_version == 16
    for raw in files[16:]:
        assert fed.take(raw).outcome is Outcome.ROOT
    assert fed.core.root_version == 40


def test_an_expired_document_lets_nothing_be_signed_but_its_successor_does() -> None:
    fed = Fed()
    issuer = fed.issuer
    issuer.clock.advance(YEAR + 1)
    assert fed.beat()[:2] == (Outcome.REFUSED, "feed_key_expired")
    value = issuer.next_root(exp=issuer.now + YEAR, feed={**issuer.root.feed.model_dump(), "exp": issuer.now + YEAR})
    (record,) = issuer.adopt_root(value)
    assert fed.take(record).outcome is Outcome.APPLIED
    assert fed.beat().outcome is Outcome.HEARTBEAT
    assert fed.freshness == "fresh"


# --- the feed key changes ---------------------------------------------------------------------------------------------


def feed_role(issuer: FakeIssuer, key: SigningKey) -> dict[str, Any]:
    return FeedRole(keys=[key.public.to_jwk()], exp=issuer.now + YEAR).model_dump()


def test_a_new_feed_key_signs_from_its_root_document_on_and_the_old_one_no_more() -> None:
    fed, key = Fed(), signing_key("EdDSA", 50)
    issuer, token = fed.issuer, fed.genuine()
    old = issuer.feed_key
    too_early = issuer.sign(RootPublished(**issuer.signed_roots[0]), seq=3, prev=issuer.head.hash, key=key)
    assert fed.take(too_early)[:2] == (Outcome.REFUSED, "unknown_key")
    (record,) = issuer.adopt_root(issuer.next_root(feed=feed_role(issuer, key)), feed_key=key)
    assert fed.take(record).outcome is Outcome.APPLIED
    assert fed.beat().outcome is Outcome.HEARTBEAT
    assert fed.beat(key=old)[:2] == (Outcome.REFUSED, "unknown_key")
    assert fed.take(issuer.cut_subject("bob")).outcome is Outcome.APPLIED
    fed.core.check_revocation(token)
    assert (fed.alarms, fed.freshness) == (set(), "fresh")


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in its record"])
def test_what_the_old_key_signed_is_taken_until_the_turn_of_the_new_document_comes(alone: bool) -> None:
    fed, key = Fed(), signing_key("EdDSA", 50)
    issuer, old = fed.issuer, fed.issuer.feed_key
    before = [issuer.cut_subject("a"), issuer.cut_subject("b")]
    value = issuer.next_root(feed=feed_role(issuer, key))
    (record,) = issuer.adopt_root(value, feed_key=key)
    if alone:
        assert fed.take(root_bytes(value)).outcome is Outcome.ROOT
    assert fed.take(record).outcome is Outcome.HELD
    assert (fed.core.root_version, in_force(fed)) == (2, 1)
    assert fed.take(issuer.cut_subject("c")).outcome is Outcome.HELD
    assert fed.take(before[1]).outcome is Outcome.HELD
    assert positions(fed.take(before[0]).applied) == [3, 4, 5, 6]
    assert in_force(fed) == 2
    assert fed.beat(key=old)[:2] == (Outcome.REFUSED, "unknown_key")
    assert fed.beat().outcome is Outcome.HEARTBEAT
    assert (fed.alarms, fed.freshness) == (set(), "fresh")


def in_force(fed: Fed) -> int:
    root = fed.core.root_in_force
    return 0 if root is None else root.version


def test_a_chain_of_documents_waits_and_each_comes_into_force_at_its_place() -> None:
    fed = Fed()
    issuer = fed.issuer
    said = []
    for number in range(2, 6):
        value = issuer.next_root(limits=Limits(max_staleness=60 - number).model_dump())
        assert fed.take(root_bytes(value)).outcome is Outcome.ROOT
        said += [*issuer.adopt_root(value), issuer.cut_subject(f"u{number}")]
    assert (fed.core.root_version, in_force(fed), fed.core.max_staleness) == (5, 1, 60)
    for number in range(2, 6):
        for raw in said[2 * (number - 2) : 2 * (number - 1)]:
            fed.take(raw)
        assert (in_force(fed), fed.core.max_staleness) == (number, 60 - number)
    assert fed.alarms == set()


def test_a_snapshot_brings_the_documents_that_wait_into_force() -> None:
    fed, key = Fed(), signing_key("EdDSA", 50)
    issuer = fed.issuer
    lagging = Fed(issuer)
    value = issuer.next_root(feed=feed_role(issuer, key), limits=Limits(max_staleness=20).model_dump())
    lagging.take(root_bytes(value))
    for raw in (*issuer.adopt_root(value, feed_key=key), issuer.cut_subject("a")):
        fed.take(raw)
    lagging.beat()
    assert fed.core.state is not None
    for raw in issuer.snapshot(fed.core.state):
        assert lagging.take(raw).outcome is Outcome.SNAPSHOT
    assert (lagging.core.head, in_force(lagging), lagging.core.max_staleness) == (issuer.head, 2, 20)
    assert (lagging.alarms, lagging.freshness) == (set(), "fresh")


def test_what_was_said_within_the_limits_of_its_time_is_no_doubt_though_later_limits_are_known() -> None:
    issuer = FakeIssuer(limits=Limits(token_algorithms=["ES256", "EdDSA"]))
    newcomer = Fed(issuer, opened=False)
    history = issuer.open()
    modern = published(signing_key("EdDSA", 60), now=issuer.now)
    history.append(issuer.publish_keys(modern))
    value = issuer.next_root(limits=Limits(token_algorithms=["EdDSA"]).model_dump())
    history += issuer.adopt_root(value)
    for raw in (*issuer.root_files(), *history, issuer.heartbeat()):
        newcomer.take(raw)
    assert (newcomer.alarms, newcomer.freshness, in_force(newcomer)) == (set(), "fresh", 2)


# --- the anchor's own threshold ---------------------------------------------------------------------------------------


def test_one_stolen_key_of_three_makes_no_first_document() -> None:
    issuer = FakeIssuer()
    issuer.root = issuer.root.model_copy(update={"root": RootRole.model_validate(role(V((0, 1, 2), 2, ())))})
    issuer.signed_roots = [sign_root(issuer.root, [KEYS[0], KEYS[2]])]
    alone = {**issuer.root.model_dump(), "version": 99, "root": role(V((0,), 1, ()))}
    forged = sign_root(RootDocument.model_validate(alone), [KEYS[0]])
    newcomer = Fed(issuer, opened=False)
    assert newcomer.core.anchor.root_threshold == 2
    assert newcomer.take(root_bytes(forged))[:2] == (Outcome.REFUSED, "root_not_trusted")
    padded = {**issuer.root.model_dump(), "version": 99, "root": role(V((0, 8, 9), 1, ()))}
    forged = sign_root(RootDocument.model_validate(padded), [KEYS[0], KEYS[8], KEYS[9]])
    assert newcomer.take(root_bytes(forged))[:2] == (Outcome.REFUSED, "root_not_trusted")
    assert newcomer.core.root_version == 0
    assert newcomer.take(issuer.root_files()[0]).outcome is Outcome.ROOT


# --- limits change ----------------------------------------------------------------------------------------------------


def test_a_key_that_the_new_limits_forbid_verifies_nothing_any_more() -> None:
    fed = Fed()
    assert len(fed.core.keys) == 1
    (record,) = fed.issuer.adopt_root(fed.issuer.next_root(limits=Limits(token_algorithms=["EdDSA"]).model_dump()))
    fed.take(record)
    assert (len(fed.core.keys), fed.alarms) == (0, set())
    fed.take(fed.issuer.publish_keys(published(signing_key("EdDSA", 60), now=fed.issuer.now)))
    assert len(fed.core.keys) == 1


def test_the_new_bound_on_staleness_holds() -> None:
    fed = Fed()
    (record,) = fed.issuer.adopt_root(fed.issuer.next_root(limits=Limits(max_staleness=20).model_dump()))
    fed.take(record)
    assert fed.core.max_staleness == 20


# --- a new epoch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stolen", [True, False], ids=["with another feed key", "with the same feed key"])
def test_a_new_epoch_cuts_off_every_older_token_and_begins_with_its_root_document(stolen: bool) -> None:
    fed = Fed()
    issuer, old = fed.issuer, fed.issuer.feed_key
    token, head = fed.genuine(), fed.core.head
    fed.take(issuer.cut_subject("mallory"))
    key = signing_key("EdDSA", 50) if stolen else old
    root, keys = issuer.adopt_root(issuer.next_root(epoch=2, feed=feed_role(issuer, key)), feed_key=key)
    assert fed.take(root).outcome is Outcome.APPLIED
    assert (len(fed.core.keys), fed.freshness) == (0, "expired")
    assert fed.take(keys).outcome is Outcome.APPLIED
    assert fed.beat().outcome is Outcome.HEARTBEAT
    assert head is not None
    assert (fed.core.head, fed.freshness) == (issuer.head, "fresh")
    with pytest.raises(Exception, match="every older token is cut off"):
        fed.core.check_revocation(token)
    fed.core.check_revocation(fed.genuine())
    late = issuer.sign(RootPublished(**issuer.signed_roots[0]), seq=4, prev=head.hash, epoch=1, key=old)
    assert fed.take(late).reason in ("unknown_key", "wrong_epoch")


def test_a_token_without_a_position_is_cut_off_by_its_time() -> None:
    fed = Fed()
    old = fed.genuine(fv=None)
    fed.issuer.clock.advance(1)
    for raw in fed.issuer.adopt_root(fed.issuer.next_root(epoch=2)):
        fed.take(raw)
    fed.issuer.clock.advance(1)
    with pytest.raises(Exception, match="every older token is cut off"):
        fed.core.check_revocation(old)
    fed.core.check_revocation(fed.genuine(fv=None))


def test_a_new_epoch_settles_every_doubt_and_drops_what_a_thief_said() -> None:
    fed = Fed()
    issuer, stolen = fed.issuer, fed.issuer.feed_key
    thief = signing_key("ES256", 9)
    forged = issuer.sign(RootPublished(**issuer.signed_roots[0]), seq=2, prev=issuer.head.hash)
    assert fed.take(forged).outcome is Outcome.EQUIVOCATION
    fed.take(issuer.publish_keys(published(thief, now=issuer.now)))
    assert Alarm.EQUIVOCATION in fed.core.alarms
    key = signing_key("EdDSA", 50)
    for raw in issuer.adopt_root(issuer.next_root(epoch=2, feed=feed_role(issuer, key)), feed_key=key):
        fed.take(raw)
    fed.beat()
    assert (fed.alarms, fed.freshness, fed.core.doubted) == (set(), "fresh", False)
    assert [trusted.key.kid for trusted in fed.core.keys.keys] == [issuer.token_key.kid]
    assert len(fed.core.evidence) == 1
    assert fed.beat(key=stolen)[:2] == (Outcome.REFUSED, "unknown_key")


def test_the_signed_time_goes_on_into_the_new_epoch() -> None:
    fed = Fed()
    fed.beat(iat=fed.issuer.now + 9)
    before = fed.core.now(fed.issuer.clock.now())
    for raw in fed.issuer.adopt_root(fed.issuer.next_root(epoch=2)):
        fed.take(raw)
    assert fed.core.now(fed.issuer.clock.now()) == before


def test_a_root_document_of_a_new_epoch_cannot_stand_in_the_old_one() -> None:
    fed = Fed()
    record = fed.issuer.record(RootPublished(**fed.issuer.next_root(epoch=2)))
    assert fed.take(record).outcome is Outcome.APPLIED
    assert (fed.core.root_version, fed.alarms) == (1, {"root_refused"})


# --- the schemas' side ------------------------------------------------------------------------------------------------


def test_a_draft_is_signed_one_by_one_and_says_who_has() -> None:
    issuer = FakeIssuer()
    first = V((0, 1, 2), 2, (0, 1))
    root = RootDocument.model_validate({**issuer.root.model_dump(), "root": role(first)})
    value = draft_root(root)
    keys = root.root_keys()
    assert (value["signatures"], signers(value, keys)) == ([], ())
    assert read_root_unverified(value) == root
    with pytest.raises(WireError):
        verify_first_root(value, trusted=[key.thumbprint for key in keys])
    for count, number in enumerate((1, 0), start=1):
        value = with_signature(with_signature(value, KEYS[number]), KEYS[number])
        assert len(value["signatures"]) == count
    assert set(signers(value, keys)) == {KEYS[0].kid, KEYS[1].kid}
    assert verify_first_root(value, trusted=[key.thumbprint for key in keys]) == root
    assert strict_json.loads_object(root_bytes(value)) == value


@pytest.mark.parametrize("value", [{"payload": "!", "signatures": []}, {"payload": "e30", "signatures": []}, {}, []])
def test_what_is_no_draft_cannot_be_read(value: Any) -> None:
    with pytest.raises(WireError):
        read_root_unverified(value)


def test_a_draft_has_a_bound() -> None:
    huge = base64url.encode(b" " * ROOT_WIRE_MAX_BYTES).decode()
    with pytest.raises(WireError):
        read_root_unverified({"payload": huge, "signatures": []})
