"""``POST /token`` (RFC 6749 §3.2): the grant ``refresh_token``. Errors look as §5.2 asks, not like the other doors'."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ostraka_issuer.errors import BadRequest, GrantRefused, IssuerError
from ostraka_issuer.limits import FORM_FIELDS_MAX

from .context import TheIssuer
from .login import tokens
from .problems import retry_after

router = APIRouter()

_FORM: Final = "application/x-www-form-urlencoded"
# RFC 6749 §5.1: neither the answer nor an error may be kept by a cache.
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_PARAMETERS: Final = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "refresh_token"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["refresh_token"]},
                        "refresh_token": {"type": "string"},
                        "client_id": {"type": "string"},
                    },
                }
            }
        },
    }
}


class _UnsupportedGrant(BadRequest):
    code = "unsupported_grant_type"


@router.post("/token", summary="Exchange a refresh token", openapi_extra=_PARAMETERS)
async def token(request: Request, issuer: TheIssuer) -> Response:
    """Use a refresh token once; the answer carries its successor."""
    try:
        form = _form(request.headers.get("content-type", ""), await request.body())
        if form.get("grant_type") != "refresh_token":
            raise _UnsupportedGrant("grant_type is refresh_token")
        presented = form.get("refresh_token")
        if not presented:
            raise BadRequest("refresh_token is missing")
        issued = await issuer.sessions.refresh(presented, client_id=form.get("client_id"))
        issuer.happenings.token("refresh_token")
    except IssuerError as error:
        return _refusal(error)
    return JSONResponse(tokens(issued).model_dump(), headers=_NO_STORE)


def _form(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise BadRequest(f"the body is {_FORM}")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError as error:
        raise BadRequest("the form cannot be read") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        # RFC 6749 §3.2: parameters must not be included more than once.
        raise BadRequest("a parameter is there twice")
    return form


def _refusal(error: IssuerError) -> Response:
    status, code, text = error.status, "invalid_request", str(error)
    if isinstance(error, GrantRefused | _UnsupportedGrant):
        code = error.code
    elif status >= 500:
        code, text = ("temporarily_unavailable", "try again") if status == 503 else ("server_error", "see the log")
    content: Mapping[str, Any] = {"error": code, "error_description": text}
    return JSONResponse(content, status, {**_NO_STORE, **retry_after(error)})
