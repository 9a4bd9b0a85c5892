"""``/admin/users``: people and what they may do."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Path as InPath

from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.accounts.people import User, find_user, list_users
from ostraka_issuer.accounts.users import UserChange
from ostraka_schemas.limits import ID_MAX_CHARS
from ostraka_schemas.model import Text

from .administration import TheAdministration, caller, outcome
from .models_accounts import Cursor, Limit, NewUserBody, Outcome, UserBody, UserChanged, UserList, Username, UserPatch
from .strict import StrictRoute

router = APIRouter(prefix="/admin/users", route_class=StrictRoute, tags=["users"])
UserId = Annotated[str, InPath(min_length=1, max_length=ID_MAX_CHARS)]
Reader = Depends(caller("users:read"))
Writer = Annotated[Actor, Depends(caller("users:write"))]


@router.get("", dependencies=[Reader], summary="List users")
async def list_(
    administration: TheAdministration,
    limit: Annotated[Limit, Query()] = 50,
    after: Annotated[Cursor | None, Query()] = None,
    username: Annotated[Username | None, Query()] = None,
    role: Annotated[Cursor | None, Query()] = None,
) -> UserList:
    """Users by name; only the one called ``username``, only those with ``role``."""
    async with administration.store.read() as tx:
        users = await list_users(tx, limit=limit, after=after, username=username, role=role)
    return UserList(users=[body(user) for user in users], next=users[-1].username if len(users) == limit else None)


@router.post("", status_code=201, summary="Make a user")
async def add(new: NewUserBody, administration: TheAdministration, by: Writer) -> UserBody:
    """Make a user. Nobody gives what they do not have: 403."""
    user = await administration.accounts.add_user(
        new.username, new.password.get_secret_value(), new.permissions, new.roles, by=by
    )
    return body(user)


@router.get("/{user_id}", dependencies=[Reader], summary="Show a user")
async def show(user_id: UserId, administration: TheAdministration) -> UserBody:
    """One user, by ``sub``."""
    async with administration.store.read() as tx:
        return body(await find_user(tx, user_id=user_id))


@router.patch("/{user_id}", summary="Change a user")
async def change(
    user_id: UserId, patch: UserPatch, response: Response, administration: TheAdministration, by: Writer
) -> UserChanged:
    """Give and take permissions and roles, disable, set a password. Verifiers are told what the user lost by it."""
    what = UserChange(
        grant=patch.grant,
        withdraw=patch.withdraw,
        assign=patch.assign,
        unassign=patch.unassign,
        disabled=patch.disabled,
        password=None if patch.password is None else patch.password.get_secret_value(),
    )
    user, done = await administration.accounts.change(user_id, what, by=by, reason=patch.reason)
    told = await outcome(administration, done, response)
    return UserChanged(user=body(user), **told.model_dump())


@router.delete("/{user_id}", summary="Remove a user")
async def delete(
    user_id: UserId,
    response: Response,
    administration: TheAdministration,
    by: Writer,
    reason: Annotated[Text | None, Query()] = None,
) -> Outcome:
    """Remove a user with all sessions; older tokens are refused from then on."""
    done = await administration.accounts.delete(user_id, by=by, reason=reason)
    return await outcome(administration, done, response)


def body(user: User) -> UserBody:
    """A user as answers show it."""
    return UserBody(
        id=user.id,
        username=user.username,
        permissions=list(user.permissions),
        roles=list(user.roles),
        effective_permissions=list(user.effective),
        disabled=user.disabled,
        created_at=user.created_at,
        password_changed_at=user.password_changed_at,
    )
