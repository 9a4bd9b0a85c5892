"""``/admin/clients``: the programs that ask for tokens."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Path as InPath

from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.accounts.client_changes import ClientChange, NewClient
from ostraka_issuer.accounts.clients import OF_USERS, Client, find_client, list_clients
from ostraka_issuer.accounts.holdings import client_permissions_of
from ostraka_issuer.store import Transaction
from ostraka_schemas.limits import ID_MAX_CHARS
from ostraka_schemas.model import Text

from .administration import Administration, TheAdministration, caller, outcome
from .models import Reasoned
from .models_accounts import (
    ClientBody,
    ClientChanged,
    ClientList,
    ClientMade,
    ClientPatch,
    Cursor,
    Limit,
    NewClientBody,
    Outcome,
    SecretRotated,
)
from .strict import StrictRoute

router = APIRouter(prefix="/admin/clients", route_class=StrictRoute, tags=["clients"])
ClientId = Annotated[str, InPath(min_length=1, max_length=ID_MAX_CHARS)]
Reader = Depends(caller("clients:read"))
Writer = Annotated[Actor, Depends(caller("clients:write"))]


@router.get("", dependencies=[Reader], summary="List clients")
async def list_(
    administration: TheAdministration,
    limit: Annotated[Limit, Query()] = 50,
    after: Annotated[Cursor | None, Query()] = None,
) -> ClientList:
    """Clients by id."""
    async with administration.store.read() as tx:
        clients = await list_clients(tx, limit=limit, after=after)
        bodies = [await _body(tx, client) for client in clients]
    return ClientList(clients=bodies, next=clients[-1].id if len(clients) == limit else None)


@router.post("", status_code=201, summary="Make a client")
async def add(new: NewClientBody, response: Response, administration: TheAdministration, by: Writer) -> ClientMade:
    """Make a client. Its secret, if it has one, is in this answer and nowhere else."""
    client, secret = await administration.clients.add(
        NewClient(
            id=new.id,
            name=new.name or new.id,
            auth_method=new.auth_method,
            grant_types=OF_USERS if new.grant_types is None else new.grant_types,
            audiences=new.audiences,
            jwks=new.jwks,
            permissions=new.permissions,
        ),
        by=by,
    )
    response.headers["Cache-Control"] = "no-store"
    async with administration.store.read() as tx:
        return ClientMade(client_secret=secret, **(await _body(tx, client)).model_dump())


@router.get("/{client_id}", dependencies=[Reader], summary="Show a client")
async def show(client_id: ClientId, administration: TheAdministration) -> ClientBody:
    """One client."""
    return await _found(administration, client_id)


@router.patch("/{client_id}", summary="Change a client")
async def change(
    client_id: ClientId, patch: ClientPatch, response: Response, administration: TheAdministration, by: Writer
) -> ClientChanged:
    """Change a client. What it loses cuts off what was got through it; a permission of its own narrows its tokens."""
    what = ClientChange(
        name=patch.name,
        grant=patch.grant,
        withdraw=patch.withdraw,
        grant_types=patch.grant_types,
        audiences=patch.audiences,
        jwks=patch.jwks,
        disabled=patch.disabled,
    )
    _, done = await administration.clients.change(client_id, what, by=by, reason=patch.reason)
    told = await outcome(administration, done, response)
    return ClientChanged(client=await _found(administration, client_id), **told.model_dump())


@router.post("/{client_id}/secret", summary="Give a client another secret")
async def rotate(
    client_id: ClientId,
    response: Response,
    administration: TheAdministration,
    by: Writer,
    body: Reasoned | None = None,
) -> SecretRotated:
    """Make another secret, in this answer and nowhere else. What was got with the old one is cut off."""
    reason = None if body is None else body.reason
    secret, done = await administration.clients.rotate_secret(client_id, by=by, reason=reason)
    told = await outcome(administration, done, response)
    response.headers["Cache-Control"] = "no-store"
    return SecretRotated(client_secret=secret, **told.model_dump())


@router.delete("/{client_id}", summary="Remove a client")
async def delete(
    client_id: ClientId,
    response: Response,
    administration: TheAdministration,
    by: Writer,
    reason: Annotated[Text | None, Query()] = None,
) -> Outcome:
    """Remove a client; its sessions end, and what was got through it is cut off."""
    done = await administration.clients.delete(client_id, by=by, reason=reason)
    return await outcome(administration, done, response)


async def _found(administration: Administration, client_id: str) -> ClientBody:
    async with administration.store.read() as tx:
        return await _body(tx, await find_client(tx, client_id, for_share=False))


async def _body(tx: Transaction, client: Client) -> ClientBody:
    jwks: dict[str, Any] | None = None if client.jwks is None else dict(client.jwks)
    return ClientBody(
        id=client.id,
        name=client.name,
        auth_method=client.auth_method,
        grant_types=list(client.grant_types),
        audiences=list(client.audiences),
        jwks=jwks,
        permissions=list(await client_permissions_of(tx, client.id)),
        disabled=client.disabled,
        created_at=client.created_at,
    )
