"""What other libraries look for: the key set (RFC 7517 §5) and the server's metadata (RFC 8414)."""

from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Response

from ostraka_issuer.errors import NotFound
from ostraka_issuer.limits import KEY_SET_MAX_AGE

from .context import TheIssuer

router = APIRouter()

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
JWKS_PATH: Final = "/.well-known/jwks.json"
_USABLE: Final = ("active", "pre-activation", "deactivated")


@router.get(JWKS_PATH, summary="Public token keys")
async def jwks(response: Response, issuer: TheIssuer) -> dict[str, list[dict[str, Any]]]:
    """Keys whose tokens may be good now or soon. A verifier of Ostraka learns them from the feed, faster."""
    response.headers["Cache-Control"] = f"public, max-age={KEY_SET_MAX_AGE}"
    return {"keys": [row.jwk for row in await issuer.keys.rows() if row.state in _USABLE]}


@router.get(METADATA_PATH, summary="Authorization server metadata")
@router.get(METADATA_PATH + "/{path:path}", include_in_schema=False)
async def metadata(response: Response, issuer: TheIssuer, path: str = "") -> dict[str, Any]:
    """Where to find what (RFC 8414 §2). The path of the issuer identifier, if it has one, is appended (§3.1)."""
    if path and path != urlsplit(issuer.settings.issuer).path.strip("/"):
        raise NotFound("no issuer of that path is served here")
    response.headers["Cache-Control"] = f"public, max-age={KEY_SET_MAX_AGE}"
    return server_metadata(issuer.settings.issuer)


def server_metadata(issuer: str) -> dict[str, Any]:
    """The metadata document of ``issuer``."""
    base = issuer.rstrip("/")
    return {
        "issuer": issuer,
        "token_endpoint": f"{base}/token",
        "jwks_uri": f"{base}{JWKS_PATH}",
        # Required by RFC 8414 even of a server without an authorization endpoint.
        "response_types_supported": [],
        "grant_types_supported": ["refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
    }
