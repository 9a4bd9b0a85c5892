"""What other libraries look for: the key set (RFC 7517 §5) and the server's metadata (RFC 8414, OpenID Discovery)."""

from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from ostraka_issuer.errors import NotFound
from ostraka_issuer.limits import KEY_SET_MAX_AGE
from ostraka_issuer.oauth.metadata import JWKS_PATH, openid_configuration, server_metadata
from ostraka_schemas import base64url, strict_json

from .context import TheIssuer

router = APIRouter()

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
OPENID_PATH: Final = "/.well-known/openid-configuration"
_USABLE: Final = ("active", "pre-activation", "deactivated")


@router.head(JWKS_PATH, include_in_schema=False)
@router.get(JWKS_PATH, summary="Public token keys")
async def jwks(request: Request, issuer: TheIssuer) -> Response:
    """Keys whose tokens may be good now or soon. A verifier of Ostraka learns them from the feed, faster."""
    return cacheable(request, {"keys": [row.jwk for row in await issuer.keys.rows() if row.state in _USABLE]})


@router.head(METADATA_PATH, include_in_schema=False)
@router.get(METADATA_PATH, summary="Authorization server metadata")
@router.get(METADATA_PATH + "/{path:path}", include_in_schema=False)
async def metadata(request: Request, issuer: TheIssuer, path: str = "") -> Response:
    """Where to find what (RFC 8414 §2). The path of the issuer identifier, if it has one, is appended (§3.1)."""
    if path and path != urlsplit(issuer.settings.issuer).path.strip("/"):
        raise NotFound("no issuer of that path is served here")
    return cacheable(request, server_metadata(issuer.settings.issuer))


@router.head(OPENID_PATH, include_in_schema=False)
@router.get(OPENID_PATH, summary="OpenID discovery, as far as it is true")
async def openid(request: Request, issuer: TheIssuer) -> Response:
    """The same for libraries that look for the key set here. There are no ID tokens."""
    signing = sorted({row.alg for row in await issuer.keys.rows() if row.state in _USABLE})
    return cacheable(request, openid_configuration(issuer.settings.issuer, signing))


def cacheable(request: Request, document: dict[str, Any]) -> Response:
    """A public document with an entity tag; 304 for whoever has it already (RFC 9110 §13.1.2)."""
    body = strict_json.dumps(document)
    tag = f'"{base64url.encode(sha256(body).digest()).decode()}"'
    headers = {"Cache-Control": f"public, max-age={KEY_SET_MAX_AGE}", "ETag": tag}
    known = [name.strip().removeprefix("W/") for name in request.headers.get("if-none-match", "").split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
