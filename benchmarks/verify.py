"""What a decision costs: a token never seen, a token seen before, beside the bare signature check and PyJWT.

Every figure is a median of rounds that are interleaved, so that a noisy moment hits all of them alike.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Final

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from jwt.types import Options
from rich.console import Console
from rich.table import Table

from ostraka_consumers import Verifier
from ostraka_consumers.clock import ManualClock, SystemClock
from ostraka_schemas import base64url, jws
from ostraka_schemas.jwk import Algorithm, SigningKey
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.root import Limits
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ListSource

ROUNDS: Final = 15
TOKENS_A_ROUND: Final = 200
SEEN_A_ROUND: Final = 4_000
DENIED: Final = 1_000_000
ENTRIES_A_RECORD: Final = 1_000
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ES256", "EdDSA", "RS256")


def bare_check(key: SigningKey, token: bytes) -> Callable[[], None]:
    """The signature check alone, everything around it prepared."""
    compact = jws.split(token, max_bytes=TOKEN_MAX_BYTES)
    message, signature = compact.signing_input, base64url.decode(compact.signature)
    public = key.private.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        der = utils.encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        algorithm = ec.ECDSA(hashes.SHA256())
        return lambda: public.verify(der, message, algorithm)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return lambda: public.verify(signature, message)
    assert isinstance(public, rsa.RSAPublicKey)
    return lambda: public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


async def fed_verifier(issuer: FakeIssuer, *, denied: int, remember: int) -> Verifier:
    """A ready verifier whose deny list has ``denied`` entries."""
    if not issuer.records:
        issuer.open()
    for _ in range(denied // ENTRIES_A_RECORD):
        issuer.revoke_tokens(*((issuer.new_id(), issuer.now + 300) for _ in range(ENTRIES_A_RECORD)))
    verifier = Verifier(
        issuer.anchor,
        audience="orders",
        sources=[ListSource([*issuer.records, issuer.heartbeat()])],
        clock=SystemClock(),
        remember=remember,
    )
    await verifier.start()
    return verifier


def timed(calls: list[Callable[[], object]]) -> float:
    """Microseconds a call."""
    begin = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - begin) / len(calls) * 1e6


async def cold(alg: Algorithm) -> dict[str, float]:
    """Medians, in microseconds, for tokens that were never seen."""
    limits = Limits(token_algorithms=[alg])
    issuer = FakeIssuer(clock=ManualClock(wall=time.time()), alg=alg, limits=limits)
    verifier = await fed_verifier(issuer, denied=0, remember=0)
    options: Options = {"require": ["exp", "iat", "iss", "sub", "aud", "jti"]}
    public = issuer.token_key.private.public_key()
    samples: dict[str, list[float]] = {"bare": [], "ostraka": [], "pyjwt": []}
    try:
        for _ in range(ROUNDS):
            tokens = [issuer.token() for _ in range(TOKENS_A_ROUND)]
            samples["bare"].append(timed([bare_check(issuer.token_key, token.encode()) for token in tokens]))
            samples["ostraka"].append(timed([lambda t=token: verifier.verify(t) for token in tokens]))  # type: ignore[misc]
            samples["pyjwt"].append(
                timed(
                    [
                        lambda t=token: jwt.decode(  # type: ignore[misc]
                            t, public, algorithms=[alg], audience="orders", issuer=issuer.issuer, options=options
                        )
                        for token in tokens
                    ]
                )
            )
    finally:
        await verifier.stop()
    return {name: statistics.median(values) for name, values in samples.items()}


async def seen() -> dict[str, float]:
    """Medians, in microseconds, for a token seen before: with nothing denied, with a million entries, and a floor."""
    issuers = [FakeIssuer(clock=ManualClock(wall=time.time())) for _ in range(2)]
    empty = await fed_verifier(issuers[0], denied=0, remember=1_000)
    full = await fed_verifier(issuers[1], denied=DENIED, remember=1_000)
    try:
        tokens = [issuer.token() for issuer in issuers]
        table = {tokens[0]: object()}
        floor_calls: list[Callable[[], object]] = [lambda: (table.get(tokens[0]), time.time())] * SEEN_A_ROUND
        empty_calls: list[Callable[[], object]] = [lambda: empty.verify(tokens[0])] * SEEN_A_ROUND
        full_calls: list[Callable[[], object]] = [lambda: full.verify(tokens[1])] * SEEN_A_ROUND
        rounds = [(timed(floor_calls), timed(empty_calls), timed(full_calls)) for _ in range(ROUNDS)]
    finally:
        await empty.stop()
        await full.stop()
    floor, nothing, million = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {"dict look-up and clock": floor, "seen, 0 denied": nothing, f"seen, {DENIED:,} denied": million}


def run(console: Console, *, as_json: bool) -> None:
    """Measure and print."""
    cold_figures = {alg: asyncio.run(cold(alg)) for alg in ALGORITHMS}
    seen_figures = asyncio.run(seen())
    if as_json:
        console.print_json(json.dumps({"cold_us": cold_figures, "seen_us": seen_figures}))
        return
    table = Table("algorithm", "bare check", "ostraka", "÷ bare", "PyJWT", "÷ bare", title="a token never seen (µs)")
    for alg, figures in cold_figures.items():
        ratios = [f"{figures[name] / figures['bare']:.2f}" for name in ("ostraka", "pyjwt")]
        values = [f"{figures[name]:.1f}" for name in ("bare", "ostraka", "pyjwt")]
        table.add_row(alg, values[0], values[1], ratios[0], values[2], ratios[1])
    console.print(table)
    table = Table("", "µs", title="a token seen before")
    for name, value in seen_figures.items():
        table.add_row(name, f"{value:.2f}")
    console.print(table)
