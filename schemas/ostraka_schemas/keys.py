"""Keys: one key, one algorithm, one use (RFC 8725, section 3.1; NIST SP 800-57, section 5.2).

PyJWT and `cryptography` do the arithmetic. This module decides which keys are fit, and never lets a header choose.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm as JwtAlgorithm
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from ostraka_schemas import base64url
from ostraka_schemas.errors import KeyUnfit, MalformedInput
from ostraka_schemas.limits import RSA_MAX_BITS, RSA_MIN_BITS

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Jwk = dict[str, str]


class Algorithm(StrEnum):
    """The signature algorithms that exist here (RFC 7518, RFC 8037). No symmetric one, and no `none`."""

    ES256 = "ES256"
    RS256 = "RS256"
    PS256 = "PS256"
    EDDSA = "EdDSA"


_JWT_ALGORITHMS: Final[Mapping[Algorithm, JwtAlgorithm]] = {
    name: get_default_algorithms()[name.value] for name in Algorithm
}
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "EC": frozenset({"crv", "x", "y"}),
    "OKP": frozenset({"crv", "x"}),
    "RSA": frozenset({"n", "e"}),
}
_DESCRIPTIVE: Final = frozenset({"kty", "kid", "alg", "use"})


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key bound to its identifier and its one algorithm."""

    kid: str
    algorithm: Algorithm
    public: PublicKey = field(repr=False)

    def accepts(self, signature: bytes, signed: bytes) -> bool:
        """Return whether ``signature`` over ``signed`` was made with this key's private half."""
        return bool(_JWT_ALGORITHMS[self.algorithm].verify(signed, self.public, signature))

    def jwk(self) -> Jwk:
        """Return the public JWK (RFC 7517) with `kid`, `alg` and `use`."""
        return {
            **_public_members(self.public),
            "kid": self.kid,
            "alg": self.algorithm.value,
            "use": "sig",
        }

    def thumbprint(self) -> str:
        """Return the RFC 7638 SHA-256 thumbprint as base64url."""
        return thumbprint(_public_members(self.public))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key bound to its identifier and its one algorithm. Its `repr` shows neither half."""

    kid: str
    algorithm: Algorithm
    private: PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, algorithm: Algorithm) -> "SigningKey":
        """Return a new key of ``algorithm``, named by its own thumbprint (P-256, Ed25519 or RSA-2048)."""
        private: PrivateKey
        match algorithm:
            case Algorithm.ES256:
                private = ec.generate_private_key(ec.SECP256R1())
            case Algorithm.EDDSA:
                private = ed25519.Ed25519PrivateKey.generate()
            case Algorithm.RS256 | Algorithm.PS256:
                private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_MIN_BITS)
        return cls.of(algorithm, private)

    @classmethod
    def of(cls, algorithm: Algorithm, private: PrivateKey) -> "SigningKey":
        """Return ``private`` bound to ``algorithm``, named by its thumbprint.

        Raises:
            KeyUnfit: the key's type, curve or size is not the algorithm's.
        """
        public = private.public_key()
        check_fitness(algorithm, public)
        return cls(thumbprint(_public_members(public)), algorithm, private)

    def sign(self, message: bytes) -> bytes:
        """Return the JWS signature over ``message`` (RFC 7515, section 5.1)."""
        return _JWT_ALGORITHMS[self.algorithm].sign(message, self.private)

    def verification_key(self) -> VerificationKey:
        """Return the public half."""
        return VerificationKey(self.kid, self.algorithm, self.private.public_key())


def verification_key(jwk: Mapping[str, object], algorithm: Algorithm) -> VerificationKey:
    """Return the public key that ``jwk`` describes, for ``algorithm`` only.

    Raises:
        KeyUnfit: private or unknown members, wrong type, curve or size, or `alg`/`use` that say otherwise.
    """
    kty = jwk.get("kty")
    own = _MEMBERS.get(kty) if isinstance(kty, str) else None
    if own is None:
        raise KeyUnfit("kty", "the JWK's kty is none of EC, OKP, RSA")
    if not own <= jwk.keys() or not jwk.keys() <= own | _DESCRIPTIVE:
        raise KeyUnfit("members", "the JWK has missing, private or unknown members")
    if any(not isinstance(value, str) for value in jwk.values()):
        raise KeyUnfit("members", "a member of the JWK is not text")
    if jwk.get("alg", algorithm.value) != algorithm.value or jwk.get("use", "sig") != "sig":
        raise KeyUnfit("alg", f"the JWK is not meant for signatures with {algorithm.value}")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not kid:
        raise KeyUnfit("kid", "the JWK has no kid")
    try:
        for name in own - {"crv"}:
            base64url.decode(str(jwk[name]).encode())
        public = _JWT_ALGORITHMS[algorithm].from_jwk(dict(jwk))
    except (PyJWTError, MalformedInput, ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnfit("material", "the JWK's key material cannot be read") from error
    check_fitness(algorithm, public)
    return VerificationKey(kid, algorithm, public)


def check_fitness(algorithm: Algorithm, public: object) -> None:
    """Refuse a public key that is not exactly what ``algorithm`` needs.

    Raises:
        KeyUnfit: wrong type, curve, modulus or exponent.
    """
    match algorithm:
        case Algorithm.ES256:
            fit = isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)
        case Algorithm.EDDSA:
            fit = isinstance(public, ed25519.Ed25519PublicKey)  # PyJWT would take Ed448 too
        case Algorithm.RS256 | Algorithm.PS256:
            fit = (
                isinstance(public, rsa.RSAPublicKey)
                and RSA_MIN_BITS <= public.key_size <= RSA_MAX_BITS
                and public.public_numbers().e == 65537
            )
    if not fit:
        raise KeyUnfit("fitness", f"the key is not of the type, curve or size that {algorithm.value} needs")


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the RFC 7638 thumbprint (SHA-256, base64url) of a public JWK's required members."""
    required = sorted({*_MEMBERS[jwk["kty"]], "kty"})
    return base64url.encode(hashlib.sha256(orjson.dumps({name: jwk[name] for name in required})).digest())


def _public_members(public: PublicKey) -> Jwk:
    match public:
        case ec.EllipticCurvePublicKey():
            algorithm = Algorithm.ES256
        case ed25519.Ed25519PublicKey():
            algorithm = Algorithm.EDDSA
        case _:
            algorithm = Algorithm.RS256
    described = _JWT_ALGORITHMS[algorithm].to_jwk(public, as_dict=True)
    return {name: described[name] for name in ("kty", *sorted(_MEMBERS[described["kty"]]))}
