"""Several issuers in one verifier: each by its own trust anchor, feed and state."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers import (
    BadSignature,
    ConfigurationError,
    Freshness,
    KeyCompromised,
    Malformed,
    MultiIssuerVerifier,
    Revoked,
    Stale,
    TokenVerifier,
    UnknownKey,
    VerificationError,
    Verifier,
    WrongAudience,
    WrongIssuer,
)
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas import base64url, strict_json
from ostraka_schemas.events import TokenRevoked
from ostraka_schemas.records import Position, record_hash
from ostraka_schemas.subjects import JwtId
from tests.corpora.tokens import bad_tokens
from tests.support.fake_issuer import ISSUER, FakeIssuer
from tests.support.forging import forge
from tests.support.several import PARTNER, STRANGER, Twins, token_of
from tests.support.verifiers import ListSource


@pytest.fixture(params=[False, True], ids=["keys of their own", "one key"])
async def twins(request: pytest.FixtureRequest) -> Twins:
    return Twins(same_key=request.param)


@pytest.fixture
async def verifier(twins: Twins) -> AsyncIterator[MultiIssuerVerifier]:
    async with twins.verifier() as made:
        yield made


async def test_each_token_is_judged_by_its_own_issuer(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    assert isinstance(verifier, TokenVerifier)
    for issuer in twins.trusted:
        token = token_of(issuer)
        for _ in range(2):
            for spelling in (token, token.encode()):
                grant = verifier.verify(spelling)
                assert (grant.issuer, grant.subject, grant.token_id) == (issuer.issuer, "alice", "j")
    assert {name: status.remembered for name, status in verifier.status.issuers.items()} == {ISSUER: 2, PARTNER: 2}
    assert verifier.status.remembered == 4


async def test_an_unknown_issuer_is_refused_whatever_it_signs_with(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    for key in (None, twins.ours.token_key, twins.partner.token_key):
        with pytest.raises(WrongIssuer):
            verifier.verify(token_of(twins.stranger, key))
    assert verifier.status.counters == {"token.wrong_issuer": 3}
    assert all(not any(n.startswith("token.") for n in s.counters) for s in verifier.status.issuers.values())


@pytest.mark.parametrize(
    "claimed", [ISSUER + "/", ISSUER.upper(), ISSUER[:-1], "", " " + ISSUER, [ISSUER], None, 1, {}]
)
async def test_only_the_very_name_will_do(twins: Twins, verifier: MultiIssuerVerifier, claimed: Any) -> None:
    kind = WrongIssuer if isinstance(claimed, str) else Malformed
    payload = {**twins.ours.claims(), "iss": claimed}
    with pytest.raises(kind):
        verifier.verify(forge({"alg": "ES256", "kid": twins.ours.token_key.kid, "typ": "at+jwt"}, payload))


async def test_a_key_of_one_verifies_no_token_of_another() -> None:
    twins = Twins()
    async with twins.verifier() as verifier:
        with pytest.raises(UnknownKey):
            verifier.verify(token_of(twins.ours, twins.partner.token_key))
        with pytest.raises(UnknownKey):
            verifier.verify(token_of(twins.partner, twins.ours.token_key))


async def test_nor_under_the_other_keys_name() -> None:
    twins = Twins()
    async with twins.verifier() as verifier:
        header = {"alg": "ES256", "kid": twins.ours.token_key.kid, "typ": "at+jwt"}
        with pytest.raises(BadSignature):
            verifier.verify(forge(header, twins.ours.claims(), twins.partner.token_key.sign))
        assert verifier.verify(forge(header, twins.ours.claims(), twins.ours.token_key.sign)).issuer == ISSUER


async def test_the_same_bytes_are_not_taken_with_another_name_on_them(
    twins: Twins, verifier: MultiIssuerVerifier
) -> None:
    token = token_of(twins.ours)
    verifier.verify(token)
    header, payload, signature = token.split(".")
    claims = {**strict_json.loads_object(base64url.decode(payload.encode())), "iss": PARTNER}
    moved = f"{header}.{base64url.encode(strict_json.dumps(claims)).decode()}.{signature}"
    with pytest.raises((BadSignature, UnknownKey)):
        verifier.verify(moved)


async def test_two_names_on_one_token_are_none(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    payload = strict_json.dumps(twins.partner.claims())
    twice = b'{"iss":"' + ISSUER.encode() + b'",' + payload[1:]
    header = {"alg": "ES256", "kid": twins.partner.token_key.kid, "typ": "at+jwt"}
    with pytest.raises(Malformed):
        verifier.verify(forge(header, twice, twins.partner.token_key.sign))


SAYINGS: dict[str, tuple[Callable[[FakeIssuer], object], type[VerificationError]]] = {
    "token": (lambda issuer: issuer.revoke_token("j", issuer.now + 300), Revoked),
    "tokens": (lambda issuer: issuer.revoke_tokens(("j", issuer.now + 300)), Revoked),
    "subject": (lambda issuer: issuer.cut_subject("alice"), Revoked),
    "session": (lambda issuer: issuer.cut_session("alice", "s"), Revoked),
    "client": (lambda issuer: issuer.cut_client("web"), Revoked),
    "everyone": (lambda issuer: issuer.cut_everyone(), Revoked),
    "key": (lambda issuer: issuer.compromise(), KeyCompromised),
}


@pytest.mark.parametrize("said", SAYINGS)
@pytest.mark.parametrize("who", [0, 1], ids=["ours", "partner"])
async def test_what_one_issuer_says_ends_no_token_of_another(
    twins: Twins, verifier: MultiIssuerVerifier, said: str, who: int
) -> None:
    speaks, other = twins.trusted[who], twins.trusted[1 - who]
    tokens = token_of(speaks), token_of(other)
    for token in tokens:
        verifier.verify(token)
    say, kind = SAYINGS[said]
    say(speaks)
    with pytest.raises(kind):
        verifier.verify(tokens[0])
    assert verifier.verify(tokens[1]).issuer == other.issuer


async def test_nor_does_what_it_says_about_the_other_one(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    token = token_of(twins.partner)
    verifier.verify(token)
    twins.ours.record(TokenRevoked(exp=twins.ours.now + 300), JwtId(iss=PARTNER, jti="j"))
    assert verifier.verify(token).issuer == PARTNER


async def test_records_of_one_are_nothing_to_the_other(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    partner = verifier.of(PARTNER)
    before = partner.core.head
    receipts = [partner.deliver(raw) for raw in [twins.ours.cut_subject("alice"), twins.ours.heartbeat()]]
    assert [receipt.outcome for receipt in receipts] == [Outcome.REFUSED] * 2
    assert partner.core.head == before
    assert verifier.verify(token_of(twins.partner)).issuer == PARTNER


async def test_permissions_are_taken_by_ones_own_issuer_only(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    ours, partner = (verifier.verify(token_of(issuer)) for issuer in twins.trusted)
    twins.ours.revoke_permission("orders:*")
    assert (ours.allows("orders:read"), partner.allows("orders:read")) == (False, True)


async def test_each_is_fresh_by_its_own_heartbeats(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    tokens = [token_of(issuer) for issuer in twins.trusted]
    twins.partner.go_silent()
    twins.ours.advance(61)
    assert verifier.verify(tokens[0]).issuer == ISSUER
    with pytest.raises(Stale):
        verifier.verify(tokens[1])
    status = verifier.status
    assert (status.issuers[ISSUER].freshness, status.issuers[PARTNER].freshness) == (Freshness.FRESH, Freshness.EXPIRED)
    assert verifier.verify(tokens[1], grace="until_exp").issuer == PARTNER
    assert status.issuers[PARTNER].counters["token.stale"] == 1
    twins.partner.come_back()
    assert verifier.verify(tokens[1]).issuer == PARTNER


async def test_routes_bear_as_much_staleness_as_they_say(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    token = token_of(twins.partner)
    twins.ours.advance(20)
    with pytest.raises(Stale):
        verifier.verify(token, max_staleness=15)
    assert verifier.verify(token, max_staleness=30).issuer == PARTNER


async def test_an_alarm_is_one_issuers(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    seq, prev = twins.ours.head.position.seq, record_hash(twins.ours.records[-2])
    other = twins.ours.sign(TokenRevoked(exp=twins.ours.now), JwtId(iss=ISSUER, jti="x"), seq=seq, prev=prev)
    verifier.of(ISSUER).deliver(other)
    status = verifier.status
    assert status.issuers[ISSUER].alarms == ("equivocation",)
    assert status.issuers[PARTNER].alarms == ()


async def test_audiences_are_each_issuers_own() -> None:
    twins = Twins()
    inner = [twins.ours.verifier("orders"), twins.partner.verifier("orders-for-partners")]
    async with MultiIssuerVerifier(inner) as verifier:
        assert verifier.verify(token_of(twins.partner, aud="orders-for-partners")).issuer == PARTNER
        with pytest.raises(WrongAudience):
            verifier.verify(token_of(twins.partner, aud="orders"))


async def test_live_grants_end_with_their_own_issuer(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    ours, partner = (verifier.verify(token_of(issuer)) for issuer in twins.trusted)
    waiting = [asyncio.create_task(grant.ended()) for grant in (ours, partner)]
    await asyncio.sleep(0)
    assert verifier.live == 2
    twins.ours.cut_everyone()
    assert (await asyncio.wait_for(waiting[0], 10)).reason == "revoked"
    assert verifier.live == 1
    twins.partner.cut_everyone()
    assert (await asyncio.wait_for(waiting[1], 10)).reason == "revoked"


async def test_positions_and_changes_are_one_issuers(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    changes = verifier.changes(PARTNER)
    twins.ours.cut_subject("bob")
    twins.partner.cut_subject("carol")
    assert (await anext(changes)).iss == PARTNER
    assert await verifier.wait_for(ISSUER, Position(1, 3), 0)
    twins.ours.cut_subject("dave")
    assert await verifier.wait_for(ISSUER, Position(1, 4), 0)
    assert not await verifier.wait_for(PARTNER, Position(1, 4), 0)
    for ask in (verifier.of, verifier.changes):
        with pytest.raises(ConfigurationError):
            ask(STRANGER)
    with pytest.raises(ConfigurationError):
        await verifier.wait_for(STRANGER, Position(1, 1), 0)


async def test_it_refuses_what_one_issuers_verifier_refuses(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    alone = verifier.of(ISSUER)
    for bad in bad_tokens(twins.ours):
        with pytest.raises(VerificationError) as refusal:
            verifier.verify(bad.token)
        # Who is asked is chosen first, so what cannot be read says so, or says another name, before a key is looked at.
        assert type(refusal.value) in (bad.error, Malformed, WrongIssuer), bad.name
        with pytest.raises(bad.error):
            alone.verify(bad.token)
    assert verifier.status.remembered == 0


async def test_a_flood_of_garbage_drives_no_good_token_out() -> None:
    twins = Twins()
    async with twins.verifier(remember=4) as verifier:
        good = token_of(twins.ours)
        verifier.verify(good)
        for n in range(100):
            with pytest.raises(VerificationError):
                verifier.verify(token_of(twins.stranger, jti=f"g{n}"))
        assert verifier._judges.get(good) is verifier.of(ISSUER)
        for n in range(100):
            verifier.verify(token_of(twins.ours, jti=f"j{n}"))
        assert verifier.status.remembered <= 4


async def test_each_keeps_its_own_state_directory(twins: Twins, tmp_path: Path) -> None:
    names = [tmp_path / "ours", tmp_path / "partner"]
    inner = [issuer.verifier(state_directory=name) for issuer, name in zip(twins.trusted, names, strict=True)]
    async with MultiIssuerVerifier(inner):
        twins.ours.cut_subject("alice")
    again = [
        Verifier(
            i.anchor, audience="orders", sources=[ListSource([i.heartbeat()])], clock=i.clock, state_directory=name
        )
        for i, name in zip(twins.trusted, names, strict=True)
    ]
    async with MultiIssuerVerifier(again) as verifier:
        with pytest.raises(Revoked):
            verifier.verify(token_of(twins.ours))
        assert verifier.verify(token_of(twins.partner)).issuer == PARTNER
        assert all(status.persisted is not None for status in verifier.status.issuers.values())


async def test_one_directory_for_two_is_a_mistake(tmp_path: Path) -> None:
    twins = Twins()
    verifier = MultiIssuerVerifier([issuer.verifier(state_directory=tmp_path) for issuer in twins.trusted])
    with pytest.raises(ConfigurationError, match="another verifier is using"):
        await verifier.start()
    assert not any(inner._tasks for inner in (verifier.of(ISSUER), verifier.of(PARTNER)))


@pytest.mark.parametrize(
    ("count", "needs"), [([], "all"), ([0, 0], "all"), ([0, 1], "most")], ids=["none", "one twice", "no such need"]
)
async def test_what_cannot_work(count: list[int], needs: Any) -> None:
    twins = Twins()
    with pytest.raises(ConfigurationError):
        MultiIssuerVerifier([twins.trusted[n].verifier() for n in count], needs=needs)


async def test_status_as_json(twins: Twins, verifier: MultiIssuerVerifier) -> None:
    found = strict_json.loads_object(strict_json.dumps(verifier.status.to_dict()))
    assert found["ready"] is True
    assert list(found["issuers"]) == list(verifier.issuers) == [ISSUER, PARTNER]
    assert found["issuers"][PARTNER]["head"] == [1, 2]
    assert (found["counters"], found["remembered"]) == ({}, 0)
