"""``/admin/roles``: permissions under a name."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Path as InPath

from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.accounts.roles import Role, RoleChange, find_role, list_roles
from ostraka_schemas.limits import ID_MAX_CHARS
from ostraka_schemas.model import Text

from .administration import TheAdministration, caller, outcome
from .models_accounts import Cursor, Limit, NewRoleBody, Outcome, RoleBody, RoleChanged, RoleList, RolePatch
from .strict import StrictRoute

router = APIRouter(prefix="/admin/roles", route_class=StrictRoute, tags=["roles"])
RoleName = Annotated[str, InPath(min_length=1, max_length=ID_MAX_CHARS)]
Reader = Depends(caller("roles:read"))
Writer = Annotated[Actor, Depends(caller("roles:write"))]


@router.get("", dependencies=[Reader], summary="List roles")
async def list_(
    administration: TheAdministration,
    limit: Annotated[Limit, Query()] = 50,
    after: Annotated[Cursor | None, Query()] = None,
) -> RoleList:
    """Roles by name."""
    async with administration.store.read() as tx:
        roles = await list_roles(tx, limit=limit, after=after)
    return RoleList(roles=[body(role) for role in roles], next=roles[-1].name if len(roles) == limit else None)


@router.post("", status_code=201, summary="Make a role")
async def add(new: NewRoleBody, administration: TheAdministration, by: Writer) -> RoleBody:
    """Make a role. Nobody gives what they do not have: 403."""
    return body(await administration.roles.add(new.name, new.permissions, description=new.description, by=by))


@router.get("/{name}", dependencies=[Reader], summary="Show a role")
async def show(name: RoleName, administration: TheAdministration) -> RoleBody:
    """One role."""
    async with administration.store.read() as tx:
        return body(await find_role(tx, name))


@router.patch("/{name}", summary="Change a role")
async def change(
    name: RoleName, patch: RolePatch, response: Response, administration: TheAdministration, by: Writer
) -> RoleChanged:
    """Give and take permissions, for everyone who has the role. Verifiers are told what each lost by it."""
    what = RoleChange(grant=patch.grant, withdraw=patch.withdraw, description=patch.description)
    role, done = await administration.roles.change(name, what, by=by, reason=patch.reason)
    told = await outcome(administration, done, response)
    return RoleChanged(role=body(role), **told.model_dump())


@router.delete("/{name}", summary="Remove a role")
async def delete(
    name: RoleName,
    response: Response,
    administration: TheAdministration,
    by: Writer,
    reason: Annotated[Text | None, Query()] = None,
) -> Outcome:
    """Remove a role from everyone who has it."""
    done = await administration.roles.delete(name, by=by, reason=reason)
    return await outcome(administration, done, response)


def body(role: Role) -> RoleBody:
    """A role as answers show it."""
    return RoleBody(
        name=role.name,
        description=role.description,
        permissions=list(role.permissions),
        users=role.users,
        created_at=role.created_at,
    )
