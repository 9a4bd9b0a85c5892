"""The public keys with which a client proves who it is (``private_key_jwt``, RFC 7523), as a JWK set (RFC 7517 §5)."""

from collections.abc import Mapping
from typing import Any

from ostraka_issuer.errors import BadRequest
from ostraka_issuer.limits import CLIENT_KEYS_MAX
from ostraka_schemas.errors import UnsupportedKeyError
from ostraka_schemas.jwk import VerificationKey


def check_key_set(jwks: Mapping[str, Any]) -> dict[str, Any]:
    """The set as it is kept: public members only, each key with ``kid``, ``alg`` and ``use``.

    Raises:
        BadRequest: no set of 1 to ``CLIENT_KEYS_MAX`` usable public keys; a private key is refused like any other
            member that is not public. No value is repeated.
    """
    return {"keys": [key.to_jwk() for key in read_key_set(jwks)]}


def read_key_set(jwks: Mapping[str, Any]) -> tuple[VerificationKey, ...]:
    """The keys of a set.

    Raises:
        BadRequest: as for ``check_key_set``.
    """
    members = jwks.get("keys")
    if not isinstance(members, list) or not 1 <= len(members) <= CLIENT_KEYS_MAX or len(jwks) != 1:
        raise BadRequest(f'a key set is {{"keys": […]}} with 1 to {CLIENT_KEYS_MAX} keys and nothing else')
    keys = tuple(_key(member) for member in members)
    if len({key.kid for key in keys}) != len(keys) or len({key.thumbprint for key in keys}) != len(keys):
        raise BadRequest("the key set has the same kid or the same key twice")
    return keys


def _key(member: object) -> VerificationKey:
    if not isinstance(member, dict):
        raise BadRequest("a key is a JSON object")
    # RFC 7517 §4.3: the other way to say what "use" says; many libraries write it.
    if member.get("key_ops", ["verify"]) != ["verify"]:
        raise BadRequest('the key_ops of a public key are ["verify"]')
    try:
        return VerificationKey.from_jwk({name: value for name, value in member.items() if name != "key_ops"})
    except UnsupportedKeyError as error:
        raise BadRequest(f"a key of the set cannot be used: {error}") from error
