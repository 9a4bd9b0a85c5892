from collections.abc import AsyncIterator
from typing import Any

import pytest

from ostraka_consumers import VerificationError, Verifier
from ostraka_consumers.explain import explain
from ostraka_schemas.limits import SEQ_MAX
from tests.corpora.tokens import bad_tokens
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.fingerprint import state_fingerprint
from tests.support.several import Twins, token_of
from tests.support.verifiers import ListSource, ready_verifier

STEPS = ["ready", "shape", "key", "signature", "claims", "times", "revocation", "freshness"]


@pytest.fixture
async def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    made = await ready_verifier(issuer)
    yield made
    await made.stop()


async def test_every_question_is_answered_for_a_good_token(issuer: FakeIssuer, verifier: Verifier) -> None:
    explanation = explain(verifier, issuer.token(), require=("orders:create",))
    assert [step.name for step in explanation.steps] == [*STEPS[:7], "permission orders:create", "freshness"]
    assert all(step.passed and step.detail for step in explanation.steps)
    assert explanation.error is None
    assert explanation.grant is not None
    assert explanation.grant.subject == "alice"


@pytest.mark.parametrize(
    ("claims", "step", "code"),
    [
        ({"aud": "billing"}, "claims", "wrong_audience"),
        ({"iss": "https://other"}, "claims", "wrong_issuer"),
        ({"exp": 1_800_000_000 - 1, "iat": 1_800_000_000 - 50}, "times", "expired"),
        ({"sub": "mallory", "fv": [1, 2]}, "revocation", "revoked"),
        ({"permissions": ["orders:read"]}, "permission orders:create", "permission_denied"),
    ],
)
async def test_the_first_refusal_is_the_last_step(
    issuer: FakeIssuer, verifier: Verifier, claims: dict[str, Any], step: str, code: str
) -> None:
    verifier.deliver(issuer.cut_subject("mallory"))
    explanation = explain(verifier, issuer.token(**claims), require=("orders:create",))
    assert explanation.steps[-1].name == step
    assert [s.passed for s in explanation.steps] == [True] * (len(explanation.steps) - 1) + [False]
    assert explanation.steps[-1].detail.startswith(f"{code}: ")
    assert explanation.grant is None
    assert explanation.error is not None
    assert explanation.error.code == code


async def test_it_refuses_what_verify_refuses_and_for_the_same_reason(issuer: FakeIssuer, verifier: Verifier) -> None:
    before = state_fingerprint(verifier)
    for bad in bad_tokens(issuer):
        explanation = explain(verifier, bad.token)
        assert type(explanation.error) is bad.error, bad.name
    assert state_fingerprint(verifier) == before


async def test_before_the_feed_is_there_and_after_it_went_stale(issuer: FakeIssuer, verifier: Verifier) -> None:
    unready = Verifier(issuer.anchor, audience="orders", sources=[ListSource([])], clock=issuer.clock)
    assert [step.name for step in explain(unready, "x").steps] == ["ready"]
    token = issuer.token()
    issuer.clock.advance(61)
    error = explain(verifier, token).error
    assert error is not None
    with pytest.raises(VerificationError):
        verifier.verify(token)


async def test_a_time_that_no_calendar_can_write_is_still_explained(issuer: FakeIssuer, verifier: Verifier) -> None:
    far = SEQ_MAX - 1_000
    key = published(issuer.token_key, now=issuer.now).model_copy(update={"nbf": far, "exp": SEQ_MAX})
    verifier.deliver(issuer.publish_keys(key))
    explanation = explain(verifier, issuer.token(iat=far, nbf=far, exp=far + 100))
    assert explanation.steps[-1].name == "times"
    assert f"minted {far} s" in explanation.steps[-2].detail


@pytest.mark.parametrize(("who", "step", "code"), [("ours", None, None), ("stranger", "issuer", "wrong_issuer")])
async def test_of_several_issuers_the_first_question_is_who_judges(
    who: str, step: str | None, code: str | None
) -> None:
    twins = Twins()
    async with twins.verifier() as verifier:
        explanation = explain(verifier, token_of(getattr(twins, who)), require=("orders:create",))
    names = [step.name for step in explanation.steps]
    if step is None:
        assert names == ["issuer", *STEPS[:7], "permission orders:create", "freshness"]
        assert explanation.grant is not None
    else:
        assert names == [step]
        assert explanation.error is not None
        assert explanation.error.code == code


async def test_the_chosen_one_may_refuse() -> None:
    twins = Twins()
    async with twins.verifier() as verifier:
        explanation = explain(verifier, token_of(twins.partner, twins.ours.token_key))
        assert [(step.name, step.passed) for step in explanation.steps][-1] == ("key", False)
        assert twins.partner.issuer in explanation.steps[0].detail
        assert [step.name for step in explain(verifier, "x").steps] == ["issuer"]
        assert verifier.status.counters == {}
