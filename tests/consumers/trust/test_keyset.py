import pytest

from ostraka_consumers.trust.keyset import BeyondLimits, KeySet
from ostraka_schemas.events import KeyState, PublishedKey
from ostraka_schemas.jwk import Algorithm, SigningKey
from ostraka_schemas.root import Limits
from tests.support.fake_issuer import FakeIssuer, published

NOW = 1_800_000_000
LIMITS = Limits(token_keys=3, token_key_lifetime=40 * 24 * 3600, token_lifetime=300)
ISSUER = FakeIssuer(limits=LIMITS)
ROOT = ISSUER.root
KEYS = [SigningKey.generate("ES256") for _ in range(4)]


def entry(key: SigningKey, state: KeyState = "active", **changes: int) -> PublishedKey:
    return published(key, now=NOW, state=state).model_copy(update=changes)


def after(*sets: list[PublishedKey], start: KeySet | None = None) -> KeySet:
    keys = start or KeySet()
    for entries in sets:
        keys = keys.replaced_by(entries, ROOT)
    return keys


def state_of(keys: KeySet, key: SigningKey) -> str | None:
    trusted = keys.get(key.kid)
    return None if trusted is None else trusted.state


def test_a_key_set_replaces_the_one_before_whole() -> None:
    first = after([entry(KEYS[0]), entry(KEYS[1])])
    second = after([entry(KEYS[2])], start=first)
    assert [key.key.kid for key in second.keys] == [KEYS[2].kid]
    assert second.get(KEYS[0].kid) is None
    assert len(first) == 2


def test_a_key_that_did_not_change_keeps_its_identity_and_one_that_did_does_not() -> None:
    first = after([entry(KEYS[0])])
    same = after([entry(KEYS[1]), entry(KEYS[0])], start=first)
    assert same.get(KEYS[0].kid) is first.get(KEYS[0].kid)
    for changed in (
        entry(KEYS[0], "deactivated"),
        entry(KEYS[0], exp=NOW + 999),
        entry(KEYS[0], max_token_lifetime=60),
    ):
        assert after([changed], start=first).get(KEYS[0].kid) is not first.get(KEYS[0].kid)


def test_another_key_under_the_same_name_is_another_key() -> None:
    first = after([entry(KEYS[0])])
    renamed = SigningKey.from_private(KEYS[1].private, "ES256", kid=KEYS[0].kid)
    second = after([entry(renamed)], start=first).get(KEYS[0].kid)
    assert second is not None
    assert second is not first.get(KEYS[0].kid)
    assert second.key.thumbprint == KEYS[1].public.thumbprint


def test_a_compromised_key_stays_compromised_whatever_comes_later_and_under_whatever_name() -> None:
    keys = after([entry(KEYS[0], "compromised"), entry(KEYS[1])])
    assert (state_of(keys, KEYS[0]), state_of(keys, KEYS[1])) == ("compromised", "active")
    keys = after([entry(KEYS[1])], [entry(KEYS[0])], start=keys)
    assert state_of(keys, KEYS[0]) == "compromised"
    renamed = SigningKey.from_private(KEYS[0].private, "ES256", kid="renamed")
    assert state_of(after([entry(renamed)], start=keys), renamed) == "compromised"


def foreign(alg: Algorithm) -> PublishedKey:
    return published(SigningKey.generate(alg), now=NOW)


@pytest.mark.parametrize(
    "entries",
    [
        [entry(key) for key in KEYS],
        [foreign("EdDSA")],
        [foreign("RS256")],
        [entry(KEYS[0], exp=NOW - 60 + 40 * 24 * 3600 + 1)],
        [entry(KEYS[0], max_token_lifetime=301)],
        [entry(KEYS[0]), entry(KEYS[1], max_token_lifetime=301)],
        [published(ISSUER.feed_key, now=NOW)],
        [published(ISSUER.root_key, now=NOW)],
    ],
    ids=["too many", "EdDSA", "RS256", "lives too long", "its tokens do", "one of two", "feed key", "root key"],
)
def test_what_the_root_document_does_not_allow_is_refused_and_changes_nothing(entries: list[PublishedKey]) -> None:
    keys = after([entry(KEYS[0])])
    with pytest.raises(BeyondLimits):
        after(entries, start=keys)
    assert [key.key.kid for key in keys.keys] == [KEYS[0].kid]


def test_keys_of_the_root_and_of_the_feed_sign_no_tokens_even_where_their_algorithm_is_allowed() -> None:
    issuer = FakeIssuer(limits=Limits(token_algorithms=["EdDSA"]))
    for key in (issuer.feed_key, issuer.root_key):
        renamed = SigningKey.from_private(key.private, "EdDSA", kid="renamed")
        with pytest.raises(BeyondLimits, match="signs root documents or the feed"):
            KeySet().replaced_by([published(renamed, now=NOW)], issuer.root)


def test_just_within_the_limits() -> None:
    keys = after([entry(key) for key in KEYS[:3]], [entry(KEYS[0], exp=NOW - 60 + 40 * 24 * 3600)])
    assert len(keys) == 1


def test_the_number_of_compromised_keys_that_are_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.keyset.COMPROMISED_KEYS_MAX", 2)
    keys = after([entry(key, "compromised") for key in KEYS[:2]])
    with pytest.raises(BeyondLimits):
        after([entry(KEYS[2], "compromised")], start=keys)


def test_under_a_new_root_document_only_what_it_allows_is_left_and_a_compromised_key_stays_so() -> None:
    first = after([entry(KEYS[0], "compromised"), entry(KEYS[1]), entry(KEYS[2], max_token_lifetime=200)])
    stricter = ROOT.model_copy(update={"limits": LIMITS.model_copy(update={"token_lifetime": 200})})
    left = first.within(stricter)
    assert [key.key.kid for key in left.keys] == [KEYS[2].kid]
    assert left.get(KEYS[2].kid) is first.get(KEYS[2].kid)
    assert left.compromised == {KEYS[0].public.thumbprint}
    assert len(first) == 3
    assert first.within(ROOT).keys == first.keys
    reserved = ROOT.model_copy(update={"limits": Limits(token_algorithms=["EdDSA"])})
    assert first.within(reserved).keys == ()
