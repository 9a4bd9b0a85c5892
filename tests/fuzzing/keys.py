"""Keys and signatures that are the same in every run: a case that was found once can be presented again."""

from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ostraka_schemas.jwk import Algorithm, SigningKey
from ostraka_schemas.limits import ROOT_KEYS_MAX

_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class FixedKey(SigningKey):
    """Signs without chance: Ed25519 does so anyway, ES256 by RFC 6979."""

    __slots__ = ()

    def sign(self, signing_input: bytes) -> bytes:
        private = self.private
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            return super().sign(signing_input)
        r, s = decode_dss_signature(private.sign(signing_input, _ES256))
        return r.to_bytes(32) + s.to_bytes(32)


def fixed_key(name: str, alg: Algorithm, *, kid: str | None = None) -> SigningKey:
    """The key of that name, ES256 or EdDSA; a false one may bear another key's ``kid``."""
    secret = sha256(name.encode()).digest()
    if alg == "ES256":
        return FixedKey.from_private(ec.derive_private_key(int.from_bytes(secret) >> 1, ec.SECP256R1()), alg, kid=kid)
    return FixedKey.from_private(ed25519.Ed25519PrivateKey.from_private_bytes(secret), alg, kid=kid)


ROOT = fixed_key("root", "EdDSA")
FEED = fixed_key("feed", "EdDSA")
TOKEN_KEYS = (fixed_key("token", "ES256"), fixed_key("token", "EdDSA"))
COMPROMISED = fixed_key("compromised", "ES256")
FALSE_KEYS = (
    fixed_key("thief", "ES256"),
    fixed_key("thief", "EdDSA"),
    fixed_key("thief", "ES256", kid=TOKEN_KEYS[0].kid),
    fixed_key("thief", "EdDSA", kid=TOKEN_KEYS[1].kid),
    fixed_key("thief", "EdDSA", kid=FEED.kid),
    fixed_key("thief", "EdDSA", kid=ROOT.kid),
)
"""Keys that nothing leads to, some under the names of those that something does."""

MANY = tuple(fixed_key(f"many {number}", "EdDSA") for number in range(ROOT_KEYS_MAX))
"""As many as a root document can name."""
