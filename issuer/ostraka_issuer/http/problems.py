"""Errors as problem details (RFC 9457). What a caller sent is never repeated: it may be a password or a token."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ostraka_consumers.errors import VerificationError
from ostraka_consumers.limits import RETRY_AFTER
from ostraka_issuer.errors import IssuerError
from ostraka_issuer.oauth.errors import InvalidClient
from ostraka_issuer.observability.request_ids import current_request_id

_log = logging.getLogger("ostraka.http")

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:ostraka:problem:"
CHALLENGE: Final = 'Basic realm="ostraka", charset="UTF-8"'
"""How a client with a secret proves who it is (RFC 7617)."""

# RFC 9110 §11.6.1: every 401 has a challenge. None that a browser knows: it would ask for the password by itself.
_LOGIN_CHALLENGE: Final = 'Login realm="ostraka"'
_NAME: Final = re.compile(r"(?:[^\W\d]|-){1,40}")
_TEXTS: Final = {
    "extra_forbidden": "is not known",
    "union_tag_invalid": "not one of the known kinds",
    "union_tag_not_found": "is missing",
}


class Problem(BaseModel):
    """What a problem document holds."""

    type: str = Field(pattern=f"^{TYPE_PREFIX}")
    title: str
    status: int = Field(ge=400, le=599)
    code: str
    detail: str
    request_id: str | None = None


SCHEMA: Final = Problem.model_json_schema()
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": SCHEMA}}}
}
"""What the OpenAPI document says of every answer that is no success."""


def problem(status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document: what went wrong in one word for machines and one sentence for people; and its request."""
    content: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    name = current_request_id()
    if name is not None:
        content["request_id"] = name
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


def of_error(error: IssuerError) -> Response:
    """The problem that an error of the issuer is. Of what is not the caller's business, only that it happened."""
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("a request failed: %s", error)
        return problem(500, "internal", "the issuer could not do it; its log says why")
    headers = retry_after(error)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE if isinstance(error, InvalidClient) else _LOGIN_CHALLENGE
    return problem(error.status, error.code, str(error), headers=headers)


def of_refusal(error: VerificationError) -> Response:
    """The problem that a caller's token is (RFC 6750 §3), or a verifier that cannot tell."""
    headers = {"WWW-Authenticate": error.www_authenticate}
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": str(RETRY_AFTER)}
    return problem(error.status, error.code, str(error), headers=headers)


def retry_after(error: IssuerError) -> dict[str, str]:
    """The ``Retry-After`` header of an error, if it has one."""
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem document; after the guard, whose refusals name no request."""

    @app.exception_handler(IssuerError)
    async def issuer_error(_request: Request, error: IssuerError) -> Response:
        return of_error(error)

    @app.exception_handler(VerificationError)
    async def refused(_request: Request, error: VerificationError) -> Response:
        return of_refusal(error)

    @app.exception_handler(RequestValidationError)
    async def wrong_request(_request: Request, error: RequestValidationError) -> Response:
        return problem(422, "invalid_request", places(error.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> Response:
        phrase = HTTPStatus(error.status_code).phrase
        return problem(error.status_code, phrase.lower().replace(" ", "_"), str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> Response:
        # Starlette raises it again after the answer; whoever watches the requests logs it with its traceback.
        return problem(500, "internal", "the issuer could not do it; its log says why")


def places(errors: Sequence[Any]) -> str:
    """Which members of a request are wrong and why, without their values.

    Names are the caller's words, too, and a secret may have slipped into one: only what looks like ours is repeated.
    """
    found = []
    for error in errors[:5]:
        where = ".".join(_shown(part) for part in error["loc"])
        found.append(f"{where}: {_TEXTS.get(error['type'], error['msg'])}")
    return "; ".join(found)


def _shown(part: object) -> str:
    return str(part) if isinstance(part, int) or _NAME.fullmatch(str(part)) else "(a name)"
