"""How each library checks an access token: signature, issuer, audience, times, and that the claims are there.

Everything that a service would make once (keys, validators) is made before, and so is what the bare signature check
takes. None but Ostraka and the deny list in Redis knows of revocations; Ostraka alone looks at ``typ``.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import jwt
import oxyjwt
from authlib.deprecate import AuthlibDeprecationWarning
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from jwt.types import Options
from redis import Redis

from ostraka_consumers import TokenVerifier
from ostraka_schemas import base64url, jws
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from tests.support.fake_issuer import FakeIssuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # it speaks of its successor
    from authlib.jose import JsonWebKey, JsonWebToken

Check = Callable[[str], Callable[[], object]]
"""Makes ready for a token, and returns what is measured: the decision about it."""

REQUIRED: Final = ["exp", "iat", "iss", "sub", "aud", "jti"]
DENIED: Final = "denied:"
"""Prefix of the keys in Redis."""


def bare(key: SigningKey) -> Check:
    """The signature check alone, by cryptography."""
    check = _signature_check(key)

    def ready(token: str) -> Callable[[], object]:
        compact = jws.split(token.encode(), max_bytes=TOKEN_MAX_BYTES)
        return check(compact.signing_input, base64url.decode(compact.signature))

    return ready


def _signature_check(key: SigningKey) -> Callable[[bytes, bytes], Callable[[], object]]:
    public = key.private.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        curve, ecdsa = public, ec.ECDSA(hashes.SHA256())
        return lambda message, raw: partial(curve.verify, _der(raw), message, ecdsa)
    if isinstance(public, ed25519.Ed25519PublicKey):
        edwards = public
        return lambda message, raw: partial(edwards.verify, raw, message)
    assert isinstance(public, rsa.RSAPublicKey)
    modular, pkcs1, sha256 = public, padding.PKCS1v15(), hashes.SHA256()
    return lambda message, raw: partial(modular.verify, raw, message, pkcs1, sha256)


def _der(raw: bytes) -> bytes:
    half = len(raw) // 2
    return utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def ostraka(verifier: TokenVerifier) -> Check:
    """A verifier that follows a feed."""
    return lambda token: lambda: verifier.verify(token)


def with_pyjwt(issuer: FakeIssuer) -> Check:
    """PyJWT."""
    decode = _pyjwt(issuer)
    return lambda token: lambda: decode(token)


def with_redis(issuer: FakeIssuer, redis: Redis) -> Check:
    """PyJWT, and then a question to a deny list in Redis."""
    decode = _pyjwt(issuer)

    def check(token: str) -> None:
        if redis.exists(DENIED + decode(token)["jti"]):
            raise PermissionError("denied")

    return lambda token: lambda: check(token)


def _pyjwt(issuer: FakeIssuer) -> Callable[[str], dict[str, str]]:
    public, algorithms, options = issuer.token_key.private.public_key(), [issuer.alg], Options(require=REQUIRED)

    def decode(token: str) -> dict[str, str]:
        claims: dict[str, str] = jwt.decode(
            token, public, algorithms=algorithms, audience=issuer.audience, issuer=issuer.issuer, options=options
        )
        return claims

    return decode


def with_oxyjwt(issuer: FakeIssuer) -> Check:
    """oxyjwt, whose core is Rust and brings its own cryptography."""
    read = {
        "ES256": oxyjwt.DecodingKey.from_ec_pem,
        "EdDSA": oxyjwt.DecodingKey.from_ed_pem,
        "RS256": oxyjwt.DecodingKey.from_rsa_pem,
    }
    pem = issuer.token_key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key, options = read[issuer.alg](pem), {"require": REQUIRED}
    algorithms: list[str] = [issuer.alg]
    return lambda token: (
        lambda: oxyjwt.decode(
            token, key, algorithms=algorithms, audience=issuer.audience, issuer=issuer.issuer, options=options
        )
    )


def with_joserfc(issuer: FakeIssuer) -> Check:
    """joserfc."""
    key, algorithms = joserfc_jwk.import_key(dict(issuer.token_key.public.to_jwk())), [issuer.alg]
    registry = joserfc_jwt.JWTClaimsRegistry(**_asked(issuer))
    return lambda token: lambda: registry.validate(joserfc_jwt.decode(token, key, algorithms=algorithms).claims)


def with_authlib(issuer: FakeIssuer) -> Check:
    """Authlib."""
    key, codec = JsonWebKey.import_key(dict(issuer.token_key.public.to_jwk())), JsonWebToken([issuer.alg])
    options = _asked(issuer)
    return lambda token: lambda: codec.decode(token, key, claims_options=options).validate()


def _asked(issuer: FakeIssuer) -> dict[str, Any]:
    values = {"iss": issuer.issuer, "aud": issuer.audience}
    return {name: {"essential": True, **({"value": values[name]} if name in values else {})} for name in REQUIRED}
