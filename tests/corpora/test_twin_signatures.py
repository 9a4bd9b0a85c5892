"""Some signatures have a twin. That of ES256 verifies, so nothing rests on a token's bytes. Ed25519's does not."""

from collections.abc import Callable

import pytest

from ostraka_consumers import BadSignature, Revoked
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas import base64url
from ostraka_schemas.root import Limits
from tests.properties.feeds import hand_fed
from tests.support.fake_issuer import FakeIssuer

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def p256_twin(signature: bytes) -> bytes:
    """(r, n - s) for (r, s)."""
    return signature[:32] + (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)


def ed25519_twin(signature: bytes) -> bytes:
    """(R, s + L) for (R, s): RFC 8032 §5.1.7 forbids it."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + ED25519_ORDER).to_bytes(32, "little")


def test_the_twin_of_an_es256_token_dies_with_it() -> None:
    issuer = FakeIssuer()
    verifier = hand_fed(issuer, *issuer.open(), issuer.heartbeat())
    token = issuer.token(jti="t").encode()
    twin = _with(token, p256_twin)
    assert twin != token
    assert verifier.verify(twin).claims == verifier.verify(token).claims
    verifier.deliver(issuer.revoke_token("t", issuer.now + 300))
    for one in (token, twin):
        with pytest.raises(Revoked):
            verifier.verify(one)


def test_the_twin_of_an_ed25519_signature_is_none() -> None:
    issuer = FakeIssuer(alg="EdDSA", limits=Limits(token_algorithms=["EdDSA"]))
    verifier = hand_fed(issuer, *issuer.open(), issuer.heartbeat())
    token, record = issuer.token().encode(), issuer.cut_everyone()
    with pytest.raises(BadSignature):
        verifier.verify(_with(token, ed25519_twin))
    assert verifier.deliver(_with(record, ed25519_twin))[:2] == (Outcome.REFUSED, "bad_signature")
    assert verifier.verify(token).subject == "alice"
    assert verifier.deliver(record).outcome is Outcome.APPLIED


def _with(raw: bytes, twin: Callable[[bytes], bytes]) -> bytes:
    signing_input, _, signature = raw.rpartition(b".")
    return signing_input + b"." + base64url.encode(twin(base64url.decode(signature)))
