"""Whatever comes in: one of our errors, nothing else; no state changes; it is counted."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ostraka_consumers import Malformed, VerificationError, Verifier
from ostraka_consumers.errors import BadSignature
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.jwk import Algorithm
from ostraka_schemas.root import Limits
from tests.corpora.kinds import FEED, HOMES, TOKEN, kinds
from tests.corpora.records import bad_records
from tests.corpora.tokens import bad_tokens
from tests.support.fake_issuer import FakeIssuer
from tests.support.fingerprint import state_fingerprint
from tests.support.rogue import forgeries
from tests.support.verifiers import ready_verifier


@pytest.fixture
async def issuer() -> FakeIssuer:
    made = FakeIssuer()
    made.open()
    made.cut_subject("mallory")
    made.revoke_token("t", made.now + 300)
    made.keep_only("bob", "orders:read")
    made.revoke_permission("reports:read")
    return made


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    made = await ready_verifier(issuer)
    yield made
    await made.stop()


def refuse(verifier: Verifier, token: Any) -> VerificationError:
    """The error that ``verify`` raises; any other exception is the test's failure."""
    try:
        verifier.verify(token)
    except VerificationError as error:
        return error
    raise AssertionError("accepted")


async def test_every_bad_token_is_refused_by_the_one_right_error(issuer: FakeIssuer, verifier: Verifier) -> None:
    corpus = bad_tokens(issuer)
    assert len(corpus) > 600
    before, counted = state_fingerprint(verifier), Counter(verifier.status.counters)
    for bad in corpus:
        error = refuse(verifier, bad.token)
        assert type(error) is bad.error, bad.name
        assert len(str(error)) < 600, bad.name
        if isinstance(bad.token, str | bytes) and len(bad.token) > 40:
            text = bad.token.decode("latin-1") if isinstance(bad.token, bytes) else bad.token
            assert text[:40] not in str(error) + error.www_authenticate, bad.name
    assert state_fingerprint(verifier) == before
    assert Counter(verifier.status.counters) - counted == Counter(f"token.{bad.error.code}" for bad in corpus)
    assert verifier.status.remembered == 0
    assert verifier.verify(issuer.token()).subject == "alice"


@pytest.mark.parametrize("known", [True, False], ids=["after the root", "before the root"])
async def test_every_bad_record_is_refused_and_counted(issuer: FakeIssuer, verifier: Verifier, known: bool) -> None:
    corpus = bad_records(issuer)
    assert len(corpus) > 500
    taker = verifier if known else Verifier(issuer.anchor, audience="orders", sources=[_Nothing()], clock=issuer.clock)
    for bad in corpus:
        if not known and bad.name == "a replayed record":
            continue
        before, counted = state_fingerprint(taker), Counter(taker.status.counters)
        receipt = taker.deliver(bad.raw)
        told = Counter(taker.status.counters) - counted
        assert not receipt.applied, bad.name
        assert sum(told.values()) == 1, bad.name
        if known:
            assert told == {bad.counted_as: 1}, bad.name
        else:
            assert receipt.outcome is Outcome.REFUSED, bad.name
        after = state_fingerprint(taker)
        if bad.name == "a heartbeat from the future":
            after["alarms"] -= {"clock"}
        assert after == before, bad.name
        taker.core.alarms.clear()


class _Nothing:
    name = "nothing"

    async def run(self, sink: object) -> None:
        """Ends at once."""


async def test_the_classes_of_rogue_records_change_nothing_however_often_they_come(
    issuer: FakeIssuer, verifier: Verifier
) -> None:
    corpus = forgeries(issuer)
    assert len(corpus) >= 17
    before, counted = state_fingerprint(verifier), Counter(verifier.status.counters)
    for _ in range(5):
        for forgery in corpus:
            verifier.deliver(forgery.raw)
    after = state_fingerprint(verifier)
    assert {**after, "alarms": after["alarms"] - {"clock"}} == before
    assert Counter(verifier.status.counters) - counted == {
        name: 5 * number for name, number in Counter(forgery.counted_as for forgery in corpus).items()
    }
    assert verifier.verify(issuer.token()).subject == "alice"
    assert verifier.deliver(issuer.cut_everyone()).outcome is Outcome.APPLIED


@pytest.mark.parametrize("place", [TOKEN, FEED])
async def test_every_kind_of_jws_presented_everywhere_is_taken_only_at_home(
    issuer: FakeIssuer, verifier: Verifier, place: str
) -> None:
    before = state_fingerprint(verifier)
    for name, raw in kinds(issuer).items():
        if place == TOKEN:
            for token in (raw, raw.decode()):
                if HOMES.get(name) == TOKEN:
                    verifier.verify(token)
                else:
                    refuse(verifier, token)
        else:
            receipt = verifier.deliver(raw)
            assert (receipt.outcome is Outcome.REFUSED) == (HOMES.get(name) != FEED), name
    assert state_fingerprint(verifier) == before


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256"])
async def test_no_byte_of_a_token_can_be_changed_and_no_part_be_missing(alg: Algorithm) -> None:
    issuer = FakeIssuer(alg=alg, limits=Limits(token_algorithms=[alg]))
    verifier = await ready_verifier(issuer)
    token = issuer.token().encode()
    verifier.verify(token)
    before = state_fingerprint(verifier)
    allowed = (Malformed, BadSignature)
    for at in range(len(token)):
        for change in (0x01, 0x20, 0x80):
            changed = bytearray(token)
            changed[at] ^= change
            error = refuse(verifier, bytes(changed))
            assert isinstance(error, allowed) or error.code == "unknown_key", (at, change)
        assert isinstance(refuse(verifier, token[:at]), allowed), at
        assert isinstance(refuse(verifier, token[at + 1 :]), allowed), at
        assert isinstance(refuse(verifier, token[:at] + b"A" + token[at:]), (*allowed, VerificationError)), at
    assert state_fingerprint(verifier) == before
    await verifier.stop()


async def test_no_byte_of_a_record_or_heartbeat_can_be_changed_and_no_part_be_missing(
    issuer: FakeIssuer, verifier: Verifier
) -> None:
    issuer.clock.advance(1)
    record = issuer.sign(IssuerCutoff(), seq=len(issuer.records) + 1, prev=issuer.head.hash)
    beat = issuer.heartbeat()
    before, refused = state_fingerprint(verifier), 0
    for raw in (record, beat, issuer.records[0]):
        for at in range(0, len(raw), 1 if len(raw) < 1_000 else 3):
            changed = bytearray(raw)
            changed[at] ^= 1 << at % 8
            for bad in (bytes(changed), raw[:at], raw[at + 1 :]):
                assert verifier.deliver(bad).outcome is Outcome.REFUSED, at
                refused += 1
    assert state_fingerprint(verifier) == before
    counters = verifier.status.counters
    assert sum(number for name, number in counters.items() if name.startswith("refused.")) == refused
    assert verifier.deliver(record).outcome is Outcome.APPLIED
