"""Issuers and ready verifiers for measurements, by the machine's own clock."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ostraka_consumers import MultiIssuerVerifier, Verifier
from ostraka_consumers.clock import ManualClock, SystemClock
from ostraka_consumers.limits import REMEMBERED_TOKENS
from ostraka_schemas.jwk import Algorithm
from ostraka_schemas.root import Limits
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ListSource

ENTRIES_A_RECORD: Final = 1_000
PARTNER: Final = "https://id.partner.example"


def issuer_of(alg: Algorithm = "ES256", name: str = "https://id.example") -> FakeIssuer:
    """An issuer that signs tokens with ``alg``. It lives in the moment that it was made in."""
    clock = ManualClock(wall=time.time())
    return FakeIssuer(clock=clock, issuer=name, alg=alg, limits=Limits(token_algorithms=[alg]))


def following(issuer: FakeIssuer, *, denied: int = 0, remember: int = REMEMBERED_TOKENS) -> Verifier:
    """A verifier whose deny list will have ``denied`` entries; the caller starts and stops it."""
    if not issuer.records:
        issuer.open()
    for _ in range(denied // ENTRIES_A_RECORD):
        issuer.revoke_tokens(*((issuer.new_id(), issuer.now + 300) for _ in range(ENTRIES_A_RECORD)))
    return Verifier(
        issuer.anchor,
        audience=issuer.audience,
        sources=[ListSource([*issuer.records, beat(issuer)])],
        clock=SystemClock(),
        remember=remember,
    )


def beat(issuer: FakeIssuer) -> bytes:
    """A heartbeat of now."""
    return issuer.heartbeat(iat=int(time.time()))


@asynccontextmanager
async def following_two(issuer: FakeIssuer) -> AsyncIterator[MultiIssuerVerifier]:
    """A verifier of this issuer and of another."""
    other = issuer_of(issuer.alg, PARTNER)
    async with MultiIssuerVerifier([following(other), following(issuer)]) as verifier:
        yield verifier
