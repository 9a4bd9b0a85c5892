"""Who is the client? RFC 6749 §2.3, RFC 7523 §2.2, RFC 9700 §2.5.

    none                  the form says ``client_id``; only for clients that have nothing to prove themselves with
    client_secret_basic   ``Authorization: Basic``, id and secret each form-encoded before they are joined (§2.3.1)
    private_key_jwt       ``client_assertion``, see ``assertions``; each works once, in every process

A request uses one of them, and it is the one that the client is registered with. Why it failed is not said.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from sqlalchemy import delete, select

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.accounts.client_keys import read_key_set
from ostraka_issuer.accounts.client_secret import secret_fits
from ostraka_issuer.accounts.clients import CLIENT, Client, client_of, find_client
from ostraka_issuer.errors import IssuerError, NotFound
from ostraka_issuer.limits import ASSERTIONS_PRUNED
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import CLIENT_ASSERTIONS
from ostraka_issuer.store.upsert import insert_into
from ostraka_schemas.limits import CLOCK_TOLERANCE, ID_MAX_CHARS

from . import assertions
from .errors import InvalidClient, InvalidRequest
from .forms import Form

_REFUSED: Final = "client authentication failed"
_BASIC_MAX_CHARS: Final = 4 * 1024
_T = CLIENT_ASSERTIONS.c


FindClient = Callable[[str], Awaitable[Client | None]]
"""Looks a client up by its id, disabled or not."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A client, and how sure that is.

    Attributes:
        client: as it was when it was looked at.
        proven: it has shown its secret or used its key; ``False`` for a public client, which only said its name.
        jkt: thumbprint of the key it used.
    """

    client: Client
    proven: bool
    jkt: str | None = None


class ClientAuthenticator:
    """Finds out who the client is.

    Args:
        issuer: the issuer identifier; ``token_endpoint`` is the other name an assertion may be meant for.
    """

    def __init__(self, store: Store, *, issuer: str, token_endpoint: str, clock: Clock | None = None) -> None:
        self._store = store
        self._audiences = frozenset({issuer, token_endpoint})
        self._clock = clock or SystemClock()

    async def authenticate(
        self, form: Form, authorization: str | None, *, find: FindClient | None = None
    ) -> Authenticated:
        """Find out who the client is.

        Args:
            authorization: the header of that name, if there is one.
            find: how to look a client up, for whoever has more to ask the database about.

        Raises:
            InvalidClient: nobody, somebody unknown or disabled, another method than the client's, or no proof.
            InvalidRequest: more than one method at once.
            StoreUnavailable
        """
        look = find or self._look_up
        assertion, client_id = form.get("client_assertion"), form.get("client_id")
        if form.get("client_secret") is not None:
            raise InvalidClient("a client secret comes in the Authorization header")
        if authorization is not None:
            if assertion is not None:
                raise InvalidRequest("a client authenticates itself in one way")
            return await self._by_secret(authorization, client_id, look)
        if assertion is not None:
            return await self._by_key(assertion, form.get("client_assertion_type"), client_id, look)
        if client_id is None:
            raise InvalidClient("the client has to say who it is")
        client = await _find(client_id, look)
        if client is None or client.auth_method != "none":
            raise InvalidClient(_REFUSED)
        return Authenticated(client, proven=False)

    async def _by_secret(self, authorization: str, client_id: str | None, look: FindClient) -> Authenticated:
        name, secret = read_basic(authorization)
        client = await _find(name, look)
        # Asked even of a client that is not there: "no" takes as long.
        fits = secret_fits(None if client is None else client.secret_hash, secret)
        if client is None or not fits or client.auth_method != "client_secret_basic":
            raise InvalidClient(_REFUSED)
        _same(name, client_id)
        return Authenticated(client, proven=True)

    async def _by_key(self, raw: str, kind: str | None, client_id: str | None, look: FindClient) -> Authenticated:
        if kind != assertions.TYPE:
            raise InvalidRequest(f"client_assertion_type is {assertions.TYPE}")
        name = assertions.client_of(raw)
        _same(name, client_id)
        client = await _find(name, look)
        if client is None or client.auth_method != "private_key_jwt" or client.jwks is None:
            raise InvalidClient(_REFUSED)
        now = self._clock.now().wall
        try:
            keys = read_key_set(client.jwks)
            assertion = assertions.verify(raw, keys, client_id=name, audiences=self._audiences, now=now)
        except InvalidClient:
            raise
        except IssuerError as error:  # keys that were good when they were registered
            raise InvalidClient(_REFUSED) from error
        await self._spend(client.id, assertion, now)
        return Authenticated(client, proven=True, jkt=assertion.jkt)

    async def _spend(self, client_id: str, assertion: assertions.Assertion, now: float) -> None:
        values = {"client_id": client_id, "jti": assertion.jti, "exp": float(assertion.exp)}
        async with self._store.write() as tx:
            insert = insert_into(tx, CLIENT_ASSERTIONS, values)
            done = await tx.execute(insert.on_conflict_do_nothing(index_elements=[_T.client_id, _T.jti]))
            if done.rowcount != 1:
                raise InvalidClient("the assertion was used before")
            await _forget(tx, now)

    async def _look_up(self, client_id: str) -> Client | None:
        rows = await self._store.ask(CLIENT, {"client_id": client_id})
        return client_of(rows[0]) if rows else None


def read_basic(authorization: str) -> tuple[str, str]:
    """Client id and secret of a header (RFC 7617 §2, RFC 6749 §2.3.1).

    Raises:
        InvalidClient: another scheme, or not readable.
    """
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _BASIC_MAX_CHARS:
        raise InvalidClient(_REFUSED)
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode("utf-8")
        name, colon, secret = text.partition(":")
        name, secret = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        # Without the cause, which repeats what was sent.
        raise InvalidClient(_REFUSED) from None
    if not colon or not name:
        raise InvalidClient(_REFUSED)
    return name, secret


async def _find(client_id: str, look: FindClient) -> Client | None:
    if not client_id.isprintable() or len(client_id) > ID_MAX_CHARS:
        return None  # no client is called that, and the database could not even be asked
    client = await look(client_id)
    return None if client is None or client.disabled else client


async def hold(tx: Transaction, known: Authenticated) -> Client:
    """The client as it is now, held until ``tx`` ends: nobody ends or narrows it meanwhile.

    Raises:
        InvalidClient: what it proved itself with is no longer good.
    """
    try:
        client = await find_client(tx, known.client.id)
    except NotFound as error:
        raise InvalidClient(_REFUSED) from error
    before = known.client
    same = (client.auth_method, client.secret_hash, client.jwks) == (
        before.auth_method,
        before.secret_hash,
        before.jwks,
    )
    if client.disabled or not same:
        raise InvalidClient(_REFUSED)
    return client


def _proof(client: Client) -> tuple[object, ...]:
    """All that it may prove itself with."""
    return client.auth_method, client.secret_hash, client.jwks


def _same(name: str, client_id: str | None) -> None:
    if client_id is not None and client_id != name:
        raise InvalidClient("client_id is another client's")


async def _forget(tx: Transaction, now: float) -> None:
    ended = select(_T.client_id, _T.jti).where(_T.exp < now - CLOCK_TOLERANCE).limit(ASSERTIONS_PRUNED)
    for row in (await tx.execute(ended.with_for_update(skip_locked=True))).all():
        await tx.execute(delete(CLIENT_ASSERTIONS).where(_T.client_id == row.client_id, _T.jti == row.jti))
