"""Clients made, changed and removed. What narrows their access is announced by the same commit (see ``narrowing``)."""

import secrets
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import delete, insert, select, update

from ostraka_consumers.clock import Clock
from ostraka_issuer import audit
from ostraka_issuer.ending import end_sessions
from ostraka_issuer.errors import BadRequest, Conflict
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import CLIENT_PERMISSIONS, CLIENTS, SESSIONS, USERS

from .actors import HOME, Actor
from .client_changes import ClientChange, NewClient, check_client, gains, kept_keys, loses
from .client_secret import hash_secret, new_secret
from .clients import Client, hold_client, insert_client
from .holdings import client_permissions_of
from .ledger import Change, Ledger
from .names import check_permissions, check_weight
from .narrowing import client_cut_off, permissions_left
from .taking import given_and_taken, taken


class Clients:
    """Makes, changes and removes clients.

    Args:
        issuer: the issuer identifier, for what is announced.
    """

    def __init__(
        self,
        store: Store,
        *,
        issuer: str,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._ledger = Ledger(store, issuer=issuer, clock=clock, random_bytes=random_bytes)

    async def add(self, new: NewClient, *, by: Actor = HOME) -> tuple[Client, str | None]:
        """Make a client. Returns it and its secret, if it has one: nobody can be told again.

        Raises:
            BadRequest: something of it breaks a rule.
            Conflict: the id is taken, by a client or, as ``sub``, by a user (RFC 9068 §5), or was before.
            Forbidden: the actor does not have a permission of it.
            StoreUnavailable
        """
        granted = check_permissions(new.permissions)
        by.must_hold(granted)
        secret = new_secret(self._ledger.random_bytes) if new.auth_method == "client_secret_basic" else None
        client = _made(new, secret, self._ledger.now())
        check_client(client)
        if client.id == HOME.id:
            raise BadRequest(f"{HOME.id} means whoever works on the home itself, in the audit trail")
        async with self._ledger.change(by) as change:
            await _insist_never_used(change.tx, client.id)
            await insert_client(change.tx, client)
            await _grant(change.tx, client.id, granted)
            await change.record("client.add", client.id, _told(client, permissions=granted))
        return client, secret

    async def change(
        self, client_id: str, what: ClientChange, *, by: Actor = HOME, reason: str | None = None
    ) -> tuple[Client, Change]:
        """Change a client. If it loses a grant type, an audience or a key, all that was got through it is cut off.

        Raises:
            NotFound: there is no such client.
            BadRequest: what is asked for breaks a rule.
            Conflict: what is withdrawn would stay, as a part of a wider grant (see ``taking``).
            Forbidden: the actor does not have what the client would get, or, for new keys, another grant type or
                audience, or a disabled client that is enabled again, what the client has.
            StoreUnavailable
        """
        granted, withdrawn = given_and_taken(what.grant, what.withdraw)
        by.must_hold(granted)
        async with self._ledger.change(by, reason) as change:
            before = await hold_client(change.tx, client_id)
            could = await client_permissions_of(change.tx, client_id)
            after = _changed(before, what)
            check_client(after)
            if what.jwks is not None or gains(before, after):
                by.must_hold(could)
            await change.tx.execute(update(CLIENTS).where(CLIENTS.c.id == client_id).values(_columns(after, what)))
            gone = taken(could, withdrawn)
            await _withdraw(change.tx, client_id, gone)
            await _grant(change.tx, client_id, [each for each in granted if each in gone or each not in could])
            await _tell(change, before, after, could)
            await change.record("client.change", client_id, _details(what, gone))
        return after, change

    async def rotate_secret(self, client_id: str, *, by: Actor = HOME, reason: str | None = None) -> tuple[str, Change]:
        """Give a client another secret. The old one is worth nothing from then on, nor what was got with it.

        Raises:
            NotFound: there is no such client.
            Conflict: it has no secret.
            Forbidden: the actor does not have what the client may do.
            BadRequest, StoreUnavailable
        """
        secret = new_secret(self._ledger.random_bytes)
        async with self._ledger.change(by, reason) as change:
            client = await hold_client(change.tx, client_id)
            if client.auth_method != "client_secret_basic":
                raise Conflict(f"this client has no secret: it proves who it is by {client.auth_method}")
            by.must_hold(await client_permissions_of(change.tx, client_id))
            columns = {"secret_hash": hash_secret(secret)}
            await change.tx.execute(update(CLIENTS).where(CLIENTS.c.id == client_id).values(columns))
            await _cut_off(change, client_id)
            await change.record("client.secret", client_id)
        return secret, change

    async def delete(self, client_id: str, *, by: Actor = HOME, reason: str | None = None) -> Change:
        """Remove a client; all its sessions end.

        Raises:
            NotFound: there is no such client.
            BadRequest, StoreUnavailable
        """
        async with self._ledger.change(by, reason) as change:
            client = await hold_client(change.tx, client_id)
            await _cut_off(change, client_id)
            await change.tx.execute(delete(CLIENT_PERMISSIONS).where(CLIENT_PERMISSIONS.c.client_id == client_id))
            await change.tx.execute(delete(CLIENTS).where(CLIENTS.c.id == client_id))
            await change.record("client.delete", client_id, {"name": client.name})
        return change


async def _insist_never_used(tx: Transaction, client_id: str) -> None:
    for table in (CLIENTS, USERS):
        if (await tx.execute(select(table.c.id).where(table.c.id == client_id))).first() is not None:
            raise Conflict("the id is taken")
    if await audit.is_spent(tx, client_id):
        raise Conflict("the id was a user's or another client's before; an id is given once")


def _made(new: NewClient, secret: str | None, now: float) -> Client:
    return Client(
        id=new.id,
        name=new.name,
        auth_method=new.auth_method,
        secret_hash=None if secret is None else hash_secret(secret),
        jwks=kept_keys(new.jwks),
        grant_types=tuple(dict.fromkeys(new.grant_types)),
        audiences=tuple(dict.fromkeys(new.audiences)),
        disabled=False,
        created_at=now,
    )


def _changed(client: Client, what: ClientChange) -> Client:
    return replace(
        client,
        name=client.name if what.name is None else what.name,
        grant_types=client.grant_types if what.grant_types is None else tuple(dict.fromkeys(what.grant_types)),
        audiences=client.audiences if what.audiences is None else tuple(dict.fromkeys(what.audiences)),
        jwks=client.jwks if what.jwks is None else kept_keys(what.jwks),
        disabled=client.disabled if what.disabled is None else what.disabled,
    )


def _columns(after: Client, what: ClientChange) -> dict[str, object]:
    """Only what is to change: nothing that was read is written back."""
    columns: dict[str, object] = {"id": after.id}
    for name in ("name", "jwks", "disabled"):
        if getattr(what, name) is not None:
            columns[name] = getattr(after, name)
    for name in ("grant_types", "audiences"):
        if getattr(what, name) is not None:
            columns[name] = list(getattr(after, name))
    return columns


async def _tell(change: Change, before: Client, after: Client, could: tuple[str, ...]) -> None:
    can = await client_permissions_of(change.tx, after.id)
    check_weight(can)
    if loses(before, after):
        await _cut_off(change, after.id)
    else:
        # Not of the application: that would narrow what users do through it as well.
        await change.announce(permissions_left(change.cause, after.id, could, can))


async def _cut_off(change: Change, client_id: str) -> None:
    change.sessions = await end_sessions(
        change.tx, SESSIONS.c.client_id == client_id, now=change.cause.at, reason=change.cause.reason
    )
    await change.announce([client_cut_off(change.cause, client_id)])


async def _grant(tx: Transaction, client_id: str, permissions: Iterable[str]) -> None:
    for permission in permissions:
        await tx.execute(insert(CLIENT_PERMISSIONS).values(client_id=client_id, permission=permission))


async def _withdraw(tx: Transaction, client_id: str, permissions: Iterable[str]) -> None:
    await tx.execute(
        delete(CLIENT_PERMISSIONS).where(
            CLIENT_PERMISSIONS.c.client_id == client_id, CLIENT_PERMISSIONS.c.permission.in_(list(permissions))
        )
    )


def _told(client: Client, **more: object) -> dict[str, object]:
    shown = {name: getattr(client, name) for name in ("name", "auth_method", "grant_types", "audiences")}
    return {**shown, **more}


def _details(what: ClientChange, gone: Iterable[str]) -> dict[str, object]:
    named = {"grant": list(what.grant) or None, "withdraw": list(gone) or None}
    kept = {name: getattr(what, name) for name in ("name", "grant_types", "audiences", "disabled")}
    return {**named, **kept, "jwks": None if what.jwks is None else "changed"}
