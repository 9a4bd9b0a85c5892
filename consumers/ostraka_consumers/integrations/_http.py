"""Tokens and refusals over HTTP and WebSockets (RFC 6750, RFC 9457), in the terms of ASGI. Knows no framework."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from ostraka_consumers import limits
from ostraka_consumers.errors import NotReady, Stale, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.protocol import TokenVerifier
from ostraka_consumers.requirements import Requirement

from ._bearer import AS_EVER, Freshness, bearer_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MEDIA_TYPE: Final = "application/problem+json"
LIVE: Final = "ostraka.live"
"""Where a scope carries what ends its connection with its grant."""

_POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013


class Gate(NamedTuple):
    """Whom a route lets through: with which permissions, or any good token, and how much staleness it bears."""

    requirement: Requirement | None = None
    freshness: Freshness = AS_EVER

    def admit(self, verifier: TokenVerifier, scope: Scope) -> Grant:
        """The grant of whoever asks. Where the scope carries what can, the connection ends with it.

        Raises:
            VerificationError
        """
        max_staleness, grace = self.freshness
        grant = verifier.verify(bearer_of(_authorizations(scope["headers"])), max_staleness=max_staleness, grace=grace)
        if self.requirement is not None:
            grant.require(self.requirement)
        live = scope.get(LIVE)
        if live is not None:
            live.watch(grant, self.requirement)
        return grant


def _authorizations(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name.lower() == b"authorization"]


def problem_headers(error: VerificationError) -> dict[str, str]:
    """What an answer that refuses carries beside its body."""
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, NotReady | Stale):
        headers["Retry-After"] = str(limits.RETRY_AFTER)
    else:
        headers["WWW-Authenticate"] = error.www_authenticate
    return headers


def problem(error: VerificationError) -> dict[str, object]:
    """The body of an answer that refuses (RFC 9457)."""
    return {
        "type": f"urn:ostraka:problem:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": str(error),
    }


class Answer(NamedTuple):
    """An HTTP answer that refuses."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer_to(error: VerificationError) -> Answer:
    """What to answer to whoever is refused (RFC 6750 §3, RFC 9457). It does not repeat the token."""
    body = json.dumps(problem(error)).encode()
    return Answer(
        error.status, {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **problem_headers(error)}, body
    )


async def refuse(error: VerificationError, scope: Scope, send: Send) -> None:
    """Answer a request or handshake that was not answered yet; a WebSocket is closed if the server can do no better."""
    kind = "http.response"
    if scope["type"] == "websocket":
        if not takes_an_answer(scope):
            await send(closing(error))
            return
        kind = "websocket.http.response"
    answer = answer_to(error)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": f"{kind}.start", "status": error.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": answer.body})


def takes_an_answer(scope: Scope) -> bool:
    """Whether the server can answer a WebSocket's handshake like any request."""
    return "websocket.http.response" in (scope.get("extensions") or {})


def closing(error: VerificationError) -> Message:
    """The message that closes a WebSocket for ``error``."""
    code = TRY_AGAIN_LATER if isinstance(error, NotReady | Stale) else _POLICY_VIOLATION
    return {"type": "websocket.close", "code": code, "reason": error.code}
