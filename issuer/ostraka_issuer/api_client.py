"""The issuer's HTTP interface, from the caller's side: for the command line, the desk and tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import httpx

from .api_errors import IssuerRefused, IssuerUnreachable
from .errors import IssuerError

__all__ = ["Announced", "ApiClient", "IssuerRefused", "IssuerUnreachable", "Tokens"]

REQUEST_SECONDS: Final = 15.0
"""An answer to a revocation may wait 5 s for its place in the feed; a login waits for its turn at hashing."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login or a refresh gives. ``expires_in`` is seconds from the answer on."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    session_id: str


@dataclass(frozen=True, slots=True)
class Announced:
    """An announcement that is committed.

    Attributes:
        txn: names the request.
        committed_at: seconds since the epoch.
        epoch, seq: place in the feed; ``seq`` is ``None`` if it has none yet. It will get one.
        published: whether the broker has acknowledged it. What is not is sent as soon as the broker can be reached.
        rest: further members of the answer.
    """

    txn: str
    committed_at: float
    epoch: int
    seq: int | None
    published: bool
    rest: Mapping[str, Any] = field(default_factory=dict)


class ApiClient:
    """Talks to one issuer. Use as an async context manager.

    Args:
        url: where it listens, such as ``http://127.0.0.1:8400``.
        timeout: seconds for one answer.
        transport: how it gets there, if not over the network.
    """

    def __init__(
        self, url: str, *, timeout: float = REQUEST_SECONDS, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url: Final = url.rstrip("/")
        # The environment's proxies are not asked: tokens go where the url says and nowhere else.
        self._http = httpx.AsyncClient(base_url=self.url, timeout=timeout, trust_env=False, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def login(
        self, username: str, password: str, *, audience: Sequence[str] | None = None, client_id: str | None = None
    ) -> Tokens:
        """Log in.

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        body: dict[str, Any] = {"username": username, "password": password}
        if audience:
            body["audience"] = list(audience)
        if client_id is not None:
            body["client_id"] = client_id
        return _tokens(await self._call("POST", "/login", json=body))

    async def refresh(self, refresh_token: str) -> Tokens:
        """Trade a refresh token for new tokens (RFC 6749 §6).

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return _tokens(await self._call("POST", "/token", data=form))

    async def logout(self, access_token: str) -> None:
        """End the session of ``access_token``; no other token of it is good any more, either.

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        await self._call("POST", "/logout", access_token)

    async def revoke(self, access_token: str, what: Mapping[str, Any]) -> Announced:
        """Revoke ``what``: a body of ``POST /admin/revocations``.

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        return _announced(await self._call("POST", "/admin/revocations", access_token, json=dict(what)))

    async def keys(self, access_token: str) -> dict[str, Any]:
        """The token keys and their states.

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        return await self._call("GET", "/admin/keys", access_token)

    async def rotate_keys(self, access_token: str, *, lead: int | None = None) -> Announced:
        """Publish a successor, to sign after ``lead`` seconds.

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        body = {} if lead is None else {"lead": lead}
        return _announced(await self._call("POST", "/admin/keys/rotate", access_token, json=body))

    async def compromise_key(self, access_token: str, kid: str, *, reason: str) -> Announced:
        """Mark a key compromised: whatever it signed is refused from now on.

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        path = f"/admin/keys/{kid}/compromise"
        return _announced(await self._call("POST", path, access_token, json={"reason": reason}))

    async def admin(
        self,
        access_token: str | None,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Ask at a door of ``/admin``.

        Args:
            path: what comes after ``/admin/``; ids in it are quoted.
            params: of the query; those that are ``None`` are left out.

        Raises:
            IssuerUnreachable, IssuerRefused.
        """
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        return await self._call(method, f"/admin/{path}", access_token, json=json, params=asked)

    async def is_ready(self) -> bool:
        """Whether it answers and says that it is ready. Never raises."""
        try:
            await self._call("GET", "/readyz")
        except IssuerError:
            return False
        return True

    async def _call(
        self,
        method: str,
        path: str,
        access_token: str | None = None,
        *,
        json: Mapping[str, Any] | None = None,
        data: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        headers = {} if access_token is None else {"Authorization": f"Bearer {access_token}"}
        try:
            answer = await self._http.request(
                method, path, json=json, data=data, params=params or None, headers=headers
            )
        except httpx.TimeoutException as error:
            raise IssuerUnreachable(f"the issuer at {self.url} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise IssuerUnreachable(f"the issuer at {self.url} cannot be reached: {error}; is it running?") from error
        body = _body(answer)
        if not answer.is_success:
            raise _refused(answer, body)
        return body


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _refused(answer: httpx.Response, body: Mapping[str, Any]) -> IssuerRefused:
    """From problem details (RFC 9457 §3) or an OAuth error (RFC 6749 §5.2)."""
    problem = body.get("code") or body.get("error")
    what = body.get("detail") or body.get("error_description") or body.get("title") or problem or answer.reason_phrase
    return IssuerRefused(f"{what} ({answer.status_code})", answer.status_code, str(problem) if problem else None)


def _tokens(body: Mapping[str, Any]) -> Tokens:
    try:
        return Tokens(
            access_token=str(body["access_token"]),
            refresh_token=str(body["refresh_token"]),
            expires_in=int(body["expires_in"]),
            session_id=str(body["session_id"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IssuerRefused("this is no answer of an issuer: tokens are missing in it", 200, None) from error


def _announced(body: dict[str, Any]) -> Announced:
    try:
        txn, committed_at = str(body.pop("txn")), float(body.pop("committed_at"))
        epoch, seq, published = int(body.pop("epoch") or 0), body.pop("seq"), body.pop("published") is True
    except (KeyError, TypeError, ValueError) as error:
        raise IssuerRefused("this is no answer of an issuer: txn or seq is missing in it", 200, None) from error
    return Announced(txn, committed_at, epoch, None if seq is None else int(seq), published, body)
