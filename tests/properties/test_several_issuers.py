"""Whatever happens at several issuers: a token is judged as its own issuer's verifier would, by nobody else's key."""

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers import MultiIssuerVerifier, VerificationError, Verifier
from tests.support.fake_issuer import FakeIssuer
from tests.support.several import Twins, token_of

WHO = st.integers(0, 2)
"""Ours, the partner, and one whom nobody trusts."""
SUBJECTS = st.sampled_from(["alice", "bob"])
MINTED = st.tuples(st.just("mint"), WHO, WHO, SUBJECTS, st.sampled_from(["j", "k"]))
SAID = st.one_of(
    st.tuples(st.just("cut_subject"), WHO, SUBJECTS),
    st.tuples(st.just("revoke_token"), WHO, st.sampled_from(["j", "k"])),
    st.tuples(st.sampled_from(["cut_everyone", "rotate", "compromise", "go_silent", "come_back", "beat"]), WHO),
    st.tuples(st.just("advance"), WHO, st.sampled_from([1, 20, 61])),
)
STORIES = st.lists(st.one_of(MINTED, SAID), max_size=12)


@dataclass
class Minted:
    """A token: the issuer that it names, and the one whose key signed it."""

    names: FakeIssuer
    signed_by: FakeIssuer
    text: str


@given(same_key=st.booleans(), remember=st.sampled_from([0, 2, 1_000]), story=STORIES)
def test_as_if_each_issuer_had_the_service_for_itself(
    same_key: bool, remember: int, story: list[tuple[Any, ...]]
) -> None:
    asyncio.run(play(Twins(same_key=same_key), remember, story))


async def play(twins: Twins, remember: int, story: list[tuple[Any, ...]]) -> None:
    everybody = (*twins.trusted, twins.stranger)
    alone = {issuer.issuer: issuer.verifier(ready_timeout=5) for issuer in twins.trusted}
    tokens: list[Minted] = []
    async with twins.verifier(remember=remember) as verifier, alone[twins.ours.issuer], alone[twins.partner.issuer]:
        for act, who, *rest in story:
            issuer = everybody[who]
            if act == "mint":
                tokens.append(mint(issuer, everybody[rest[0]], *rest[1:]))
            else:
                say(issuer, act, *rest)
            for token in tokens:
                compare(verifier, alone.get(token.names.issuer), token)


def mint(names: FakeIssuer, signer: FakeIssuer, subject: str, jti: str) -> Minted:
    return Minted(names, signer, token_of(names, signer.token_key, sub=subject, jti=jti))


def say(issuer: FakeIssuer, act: str, *rest: Any) -> None:
    if act == "revoke_token":
        issuer.revoke_token(rest[0], issuer.now + 300)
    else:
        getattr(issuer, act)(*rest)


def compare(verifier: MultiIssuerVerifier, alone: Verifier | None, token: Minted) -> None:
    found = outcome(verifier, token.text)
    assert found == ("wrong_issuer" if alone is None else outcome(alone, token.text))
    if found == "granted":
        assert verifier.verify(token.text).issuer == token.names.issuer
        if token.names is not token.signed_by:
            # Only where the two hold one and the same key can either sign for the other.
            assert {key.key.kid for key in verifier.of(token.names.issuer).core.keys.keys} & {
                entry.key().kid for entry in token.signed_by.keys
            }


def outcome(verifier: MultiIssuerVerifier | Verifier, token: str) -> str:
    try:
        verifier.verify(token)
    except VerificationError as refusal:
        return refusal.code
    return "granted"
