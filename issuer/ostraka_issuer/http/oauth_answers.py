"""How the OAuth doors read and answer (RFC 6749 §5). Errors look as §5.2 asks, not like the other doors'."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from ostraka_consumers.errors import VerificationError
from ostraka_consumers.limits import RETRY_AFTER
from ostraka_issuer.errors import IssuerError
from ostraka_issuer.oauth.errors import InvalidRequest
from ostraka_issuer.oauth.forms import MEDIA_TYPE, Form, read_form

from .problems import ANSWERS as PROBLEMS
from .problems import CHALLENGE, retry_after

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 §5.1: neither an answer nor an error may be kept by a cache."""

_OF_OAUTH: Final = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
_SERVER: Final = {503: ("temporarily_unavailable", "try again"), 500: ("server_error", "see the log")}


class NoBearer(VerificationError):
    """No bearer token came with the request (RFC 6750 §3.1: then there is no error code, either)."""

    code = "no_token"
    error = None


def bearer_of(request: Request) -> str:
    """The bearer token of a request (RFC 6750 §2.1).

    Raises:
        NoBearer
    """
    values = request.headers.getlist("authorization")
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    if scheme.lower() != "bearer":
        raise NoBearer("a bearer token is needed")
    return token.strip(" ")


async def form_of(request: Request) -> tuple[Form, str | None]:
    """The form of a request, and its ``Authorization`` header.

    Raises:
        InvalidRequest
    """
    values = request.headers.getlist("authorization")
    if len(values) > 1:
        raise InvalidRequest("more than one Authorization header")
    form = read_form(request.headers.get("content-type", ""), await request.body())
    return form, values[0] if values else None


def answer(members: Mapping[str, Any]) -> Response:
    """A JSON object that no cache keeps."""
    return JSONResponse(dict(members), headers=NO_STORE)


def refusal(error: IssuerError | VerificationError) -> Response:
    """An error, as RFC 6749 §5.2 writes it; ``invalid_client`` with a challenge."""
    status, code, text = error.status, error.code, str(error)
    headers = dict(NO_STORE)
    if isinstance(error, VerificationError):
        return _of_the_caller(error, headers)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        code, text = _SERVER.get(status, _SERVER[500])
    elif code not in _OF_OAUTH:
        code = "invalid_request"
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    return JSONResponse(_error(code, text), status, {**headers, **retry_after(error)})


def _of_the_caller(error: VerificationError, headers: dict[str, str]) -> Response:
    """A bearer token that is not good (RFC 6750 §3), or a verifier that cannot tell."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        headers["Retry-After"] = str(RETRY_AFTER)
        return JSONResponse(_error("temporarily_unavailable", "try again"), error.status, headers)
    headers["WWW-Authenticate"] = error.www_authenticate
    return JSONResponse(_error(error.error or "invalid_token", error.code), error.status, headers)


def _error(code: str, text: str) -> dict[str, str]:
    # RFC 6749 §5.2: visible ASCII without quotation mark and backslash.
    plain = "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in text)
    return {"error": code, "error_description": plain}


_ERROR_SCHEMA: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "An error (RFC 6749 §5.2), or a problem that is not the door's own (RFC 9457)",
        "content": {"application/json": {"schema": _ERROR_SCHEMA}, **PROBLEMS["default"]["content"]},
    }
}
"""What the OpenAPI document says of every answer of an OAuth door that is no success."""


def form_parameters(required: tuple[str, ...], *optional: str) -> dict[str, Any]:
    """What the OpenAPI document says of a form."""
    schema = {
        "type": "object",
        "required": list(required),
        "properties": {name: {"type": "string"} for name in (*required, *optional)},
    }
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": schema}}}}
