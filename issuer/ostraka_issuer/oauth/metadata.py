"""What the server says of itself (RFC 8414 §2; OpenID Connect Discovery 1.0 §3, as far as that is true here).

There is no authorization endpoint: people log in at ``/login``, so no response types and no ID tokens. The OpenID
document is for libraries that look for the key set there and nowhere else.
"""

from collections.abc import Sequence
from typing import Any, Final

from ostraka_issuer.accounts.clients import TOKEN_EXCHANGE
from ostraka_schemas.jwk import ALGORITHMS

TOKEN_PATH: Final = "/token"  # noqa: S105 - a path
REVOCATION_PATH: Final = "/revoke"
INTROSPECTION_PATH: Final = "/introspect"
JWKS_PATH: Final = "/.well-known/jwks.json"
_PROOFS: Final = ["client_secret_basic", "private_key_jwt"]


def server_metadata(issuer: str) -> dict[str, Any]:
    """The metadata document of ``issuer`` (RFC 8414)."""
    base = issuer.rstrip("/")
    algorithms = list(ALGORITHMS)
    return {
        "issuer": issuer,
        "token_endpoint": base + TOKEN_PATH,
        "jwks_uri": base + JWKS_PATH,
        # Required by RFC 8414 even of a server without an authorization endpoint.
        "response_types_supported": [],
        "grant_types_supported": ["refresh_token", "client_credentials", TOKEN_EXCHANGE],
        "token_endpoint_auth_methods_supported": ["none", *_PROOFS],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": base + REVOCATION_PATH,
        "revocation_endpoint_auth_methods_supported": ["none", *_PROOFS],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": base + INTROSPECTION_PATH,
        "introspection_endpoint_auth_methods_supported": _PROOFS,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
    }


def openid_configuration(issuer: str, signing: Sequence[str]) -> dict[str, Any]:
    """The discovery document of ``issuer``; ``signing`` are the algorithms of its key set."""
    return {
        **server_metadata(issuer),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(signing),
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "sid"],
    }
