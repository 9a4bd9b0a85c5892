"""Keys: what may be used, how they are written (RFC 7517, RFC 7518 §6, RFC 8037) and named (RFC 7638).

One key, one algorithm, one use (RFC 8725 §3.1, NIST SP 800-57 part 1 §5.2). Symmetric keys do not exist here, so a
public key can never be mistaken for a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, cast, get_args

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm as JwtAlgorithm
from jwt.algorithms import get_default_algorithms

from . import base64url, strict_json
from .errors import UnsupportedKeyError
from .limits import KID_MAX_CHARS, RSA_MAX_BITS, RSA_MIN_BITS

Algorithm = Literal["ES256", "EdDSA", "RS256", "PS256"]
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
_DEFAULTS: Final = get_default_algorithms()
_JWT: Final[dict[str, JwtAlgorithm]] = {name: _DEFAULTS[name] for name in ALGORITHMS}

_KID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{KID_MAX_CHARS}}}", re.ASCII)
_PUBLIC_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_OPTIONAL_MEMBERS: Final = frozenset({"kid", "alg", "use"})
_KEY_OF: Final = {
    "ES256": ("EC", "P-256", ec.EllipticCurvePublicKey),
    "EdDSA": ("OKP", "Ed25519", ed25519.Ed25519PublicKey),
    "RS256": ("RSA", None, rsa.RSAPublicKey),
    "PS256": ("RSA", None, rsa.RSAPublicKey),
}
_RSA_EXPONENT: Final = 65_537
# Keys of CVE-2017-15361 (ROCA) are powers of 65537 modulo each of these primes; chance passes all with 2^-27.
_ROCA_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_ROCA_RESIDUES: Final = {p: frozenset(pow(_RSA_EXPONENT, k, p) for k in range(p - 1)) for p in _ROCA_PRIMES}


def is_kid(text: object) -> bool:
    """Whether ``text`` can be a key id: base64url characters, at most ``KID_MAX_CHARS``."""
    return isinstance(text, str) and _KID.fullmatch(text) is not None


# An Ed25519 point of small order as a key would take signatures that nobody made. There are eight of them, with five y.
_ED25519_P: Final = 2**255 - 19
_Y_OF_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y: Final = frozenset({0, 1, _ED25519_P - 1, _Y_OF_ORDER_8, _ED25519_P - _Y_OF_ORDER_8})


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, bound to its one algorithm.

    Attributes:
        kid: the key's name in JWS headers.
        alg: the only algorithm it is used with.
        jwk: its public members, without ``kid``, ``alg`` and ``use``.
    """

    kid: str
    alg: Algorithm
    jwk: Mapping[str, str] = field(repr=False)
    _public: PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str | None = None) -> "VerificationKey":
        """Import a public JWK.

        Args:
            jwk: the members of RFC 7517; ``kid`` may be missing (then the thumbprint is taken), ``alg`` too if given.
            alg: the algorithm; must agree with the ``alg`` member if both are there.

        Raises:
            UnsupportedKeyError: private or foreign members, another type, curve, size or algorithm, a weak key.
        """
        name = jwk.get("alg", alg)
        if not isinstance(name, str) or name not in _KEY_OF or (alg is not None and name != alg):
            raise UnsupportedKeyError(f"a key must name its algorithm, one of {', '.join(ALGORITHMS)}")
        public = _public_members(jwk, name)
        kid = jwk.get("kid", thumbprint(public))
        if not is_kid(kid):
            raise UnsupportedKeyError(f"a kid has 1 to {KID_MAX_CHARS} characters of A-Z a-z 0-9 - _")
        return cls(kid=kid, alg=cast("Algorithm", name), jwk=public, _public=_import(public, name))

    @property
    def thumbprint(self) -> str:
        """RFC 7638, SHA-256, base64url: names the key material whatever its ``kid``."""
        return thumbprint(self.jwk)

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether ``signature`` over ``signing_input`` was made by this key with its algorithm."""
        return _JWT[self.alg].verify(signing_input, self._public, signature)

    def to_jwk(self) -> dict[str, str]:
        """The public JWK, with ``kid``, ``alg`` and ``use``."""
        return {**self.jwk, "kid": self.kid, "alg": self.alg, "use": "sig"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its public half. Nothing of the private half is ever printed."""

    public: VerificationKey
    _private: PrivateKey = field(repr=False, compare=False)

    @classmethod
    def generate(cls, alg: Algorithm) -> "SigningKey":
        """Make a new key for ``alg``; its ``kid`` is its thumbprint. RSA keys have 3,072 bits (SP 800-57: 128 bit)."""
        private: PrivateKey
        if alg == "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
        elif alg == "EdDSA":
            private = ed25519.Ed25519PrivateKey.generate()
        else:
            private = rsa.generate_private_key(public_exponent=_RSA_EXPONENT, key_size=3_072)
        return cls.from_private(private, alg)

    @classmethod
    def from_private(cls, private: PrivateKey, alg: Algorithm, *, kid: str | None = None) -> "SigningKey":
        """Wrap a private key of ``cryptography``.

        Raises:
            UnsupportedKeyError: the key does not fit ``alg``.
        """
        try:
            jwk = _JWT[alg].to_jwk(private.public_key(), as_dict=True)
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
            raise UnsupportedKeyError(f"not a key for {alg}") from error
        public = {member: jwk[member] for member in _PUBLIC_MEMBERS.get(jwk.get("kty", ""), ())}
        return cls(VerificationKey.from_jwk({**public, **({"kid": kid} if kid else {})}, alg=alg), private)

    @property
    def kid(self) -> str:
        """The key's name in JWS headers."""
        return self.public.kid

    @property
    def alg(self) -> Algorithm:
        """The key's one algorithm."""
        return self.public.alg

    @property
    def private(self) -> PrivateKey:
        """The private half, for whoever stores it encrypted."""
        return self._private

    def sign(self, signing_input: bytes) -> bytes:
        """Sign with the key's algorithm (RFC 7518 §3)."""
        return _JWT[self.alg].sign(signing_input, self._private)


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638 thumbprint of a JWK: SHA-256 over its required members in lexicographic order, base64url."""
    members = _PUBLIC_MEMBERS.get(jwk.get("kty", ""))
    if members is None or not all(isinstance(jwk.get(member), str) for member in members):
        raise UnsupportedKeyError("only EC, OKP and RSA keys have a thumbprint here")
    return base64url.encode(sha256(strict_json.dumps({m: jwk[m] for m in members})).digest()).decode()


def _public_members(jwk: Mapping[str, Any], alg: str) -> dict[str, str]:
    kty, curve, _ = _KEY_OF[alg]
    if jwk.get("kty") != kty or (curve is not None and jwk.get("crv") != curve):
        raise UnsupportedKeyError(f"{alg} needs a key of type {kty} {curve or ''}".rstrip())
    if jwk.get("use", "sig") != "sig":
        raise UnsupportedKeyError("the key's use is not 'sig'")
    members = _PUBLIC_MEMBERS[kty]
    if not set(members) <= jwk.keys() <= set(members) | _OPTIONAL_MEMBERS:
        raise UnsupportedKeyError(f"a public {kty} key has exactly the members {', '.join(members)}")
    if not all(isinstance(value, str) for value in jwk.values()):
        raise UnsupportedKeyError("a key's members are strings")
    return {member: jwk[member] for member in members}


def _import(public: dict[str, str], alg: str) -> PublicKey:
    try:
        key = _JWT[alg].from_jwk(dict(public))
        spelled = _JWT[alg].to_jwk(key, as_dict=True)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise UnsupportedKeyError("not a usable key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        raise UnsupportedKeyError("a public key is needed")
    if not isinstance(key, _KEY_OF[alg][2]):
        raise UnsupportedKeyError(f"not a key for {alg}")
    # One key, one spelling: otherwise the same key would have several thumbprints.
    if any(spelled.get(member) != value for member, value in public.items()):
        raise UnsupportedKeyError("a member is not spelled canonically")
    if isinstance(key, rsa.RSAPublicKey):
        _check_rsa(key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        _check_ed25519(key)
    return key


def _check_ed25519(key: ed25519.Ed25519PublicKey) -> None:
    y = int.from_bytes(key.public_bytes_raw(), "little") & (2**255 - 1)
    if y >= _ED25519_P or y in _SMALL_ORDER_Y:
        raise UnsupportedKeyError("an Ed25519 key that is no point of full order")


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    numbers = key.public_numbers()
    if not RSA_MIN_BITS <= key.key_size <= RSA_MAX_BITS:
        raise UnsupportedKeyError(f"an RSA key has {RSA_MIN_BITS} to {RSA_MAX_BITS} bits, this one {key.key_size}")
    if numbers.e != _RSA_EXPONENT:
        raise UnsupportedKeyError(f"an RSA key's exponent is {_RSA_EXPONENT}")
    if any(numbers.n % p == 0 for p in (2, *_ROCA_PRIMES)):
        raise UnsupportedKeyError("an RSA key's modulus has no small factor")
    if all(numbers.n % p in residues for p, residues in _ROCA_RESIDUES.items()):
        raise UnsupportedKeyError("an RSA key made by the flawed generator of CVE-2017-15361 (ROCA)")
