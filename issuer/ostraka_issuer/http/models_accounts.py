"""What requests and answers about users, roles, clients, sessions and the audit trail look like."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr

from ostraka_issuer.accounts.clients import AuthMethod, GrantType
from ostraka_issuer.limits import PAGE_MAX, ROLES_OF_A_USER_MAX, USERNAME_MAX_CHARS
from ostraka_schemas.limits import AUDIENCES_MAX, ID_MAX_CHARS, PERMISSIONS_MAX
from ostraka_schemas.model import Identifier, Text
from ostraka_schemas.permissions import Permission

from .models import Body, Reasoned

Permissions = Annotated[list[Permission], Field(max_length=PERMISSIONS_MAX)]
RoleNames = Annotated[list[Identifier], Field(max_length=ROLES_OF_A_USER_MAX)]
Username = Annotated[str, Field(min_length=1, max_length=USERNAME_MAX_CHARS)]
Audiences = Annotated[list[Identifier], Field(max_length=AUDIENCES_MAX)]
GrantTypes = Annotated[list[GrantType], Field(min_length=1, max_length=8)]
Name = Annotated[str, Field(min_length=1, max_length=ID_MAX_CHARS)]

Limit = Annotated[int, Field(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str, Field(min_length=1, max_length=ID_MAX_CHARS)]


class NewUserBody(Body):
    """``POST /admin/users``."""

    username: Username
    password: SecretStr
    permissions: Permissions = Field(default_factory=list)
    roles: RoleNames = Field(default_factory=list)


class UserPatch(Reasoned):
    """``PATCH /admin/users/{id}``: all of it in one step; what is not named stays as it is."""

    grant: Permissions = Field(default_factory=list)
    withdraw: Permissions = Field(default_factory=list)
    assign: RoleNames = Field(default_factory=list)
    unassign: RoleNames = Field(default_factory=list)
    disabled: bool | None = None
    password: SecretStr | None = None


class NewRoleBody(Body):
    """``POST /admin/roles``."""

    name: Name
    description: Text | None = None
    permissions: Permissions = Field(default_factory=list)


class RolePatch(Reasoned):
    """``PATCH /admin/roles/{name}``: all of it in one step, for everyone who has the role."""

    grant: Permissions = Field(default_factory=list)
    withdraw: Permissions = Field(default_factory=list)
    description: Text | None = None


class NewClientBody(Body):
    """``POST /admin/clients``. ``jwks`` with ``private_key_jwt``; a secret is made by the issuer."""

    id: Name
    name: Name | None = None
    auth_method: AuthMethod = "none"
    grant_types: GrantTypes | None = None
    audiences: Audiences = Field(default_factory=list)
    jwks: dict[str, Any] | None = None
    permissions: Permissions = Field(default_factory=list)


class ClientPatch(Reasoned):
    """``PATCH /admin/clients/{id}``: lists and keys replace what was there; permissions are given and taken."""

    name: Name | None = None
    grant: Permissions = Field(default_factory=list)
    withdraw: Permissions = Field(default_factory=list)
    grant_types: GrantTypes | None = None
    audiences: Audiences | None = None
    jwks: dict[str, Any] | None = None
    disabled: bool | None = None


class Outcome(BaseModel):
    """What came of a change.

    ``txn`` names what it announced, ``null`` if nobody lost anything by it; of several announcements, the last.
    ``epoch``, ``seq`` and ``published`` are its place in the feed, as for a revocation. ``committed_at``, seconds since
    the epoch, was read just after the commit.
    """

    txn: str | None
    epoch: int | None
    seq: int | None
    published: bool
    committed_at: float
    announced: int
    sessions_ended: int


class UserBody(BaseModel):
    """A user. ``effective_permissions`` are those of the roles too. Times are seconds since the epoch."""

    id: str
    username: str
    permissions: list[str]
    roles: list[str]
    effective_permissions: list[str]
    disabled: bool
    created_at: float
    password_changed_at: float | None


class UserChanged(Outcome):
    """The user as the change left it."""

    user: UserBody


class UserList(BaseModel):
    """By name. ``next``, if there may be more, goes into the parameter ``after``; so in every list here."""

    users: list[UserBody]
    next: str | None


class RoleBody(BaseModel):
    """A role. ``users`` is how many have it."""

    name: str
    description: str | None
    permissions: list[str]
    users: int
    created_at: float


class RoleChanged(Outcome):
    """The role as the change left it."""

    role: RoleBody


class RoleList(BaseModel):
    """By name."""

    roles: list[RoleBody]
    next: str | None


class ClientBody(BaseModel):
    """A client. Its secret is shown nowhere."""

    id: str
    name: str
    auth_method: str
    grant_types: list[str]
    audiences: list[str]
    jwks: dict[str, Any] | None
    permissions: list[str]
    disabled: bool
    created_at: float


class ClientMade(ClientBody):
    """A new client. ``client_secret`` is there with ``client_secret_basic``, here and never again."""

    client_secret: str | None = Field(repr=False)


class ClientChanged(Outcome):
    """The client as the change left it."""

    client: ClientBody


class SecretRotated(Outcome):
    """The new secret, here and never again."""

    client_secret: str = Field(repr=False)


class ClientList(BaseModel):
    """By id."""

    clients: list[ClientBody]
    next: str | None


class SessionBody(BaseModel):
    """A login session. ``used_at`` is that of the login or the last refresh."""

    id: str
    user_id: str
    username: str
    client_id: str
    audience: list[str]
    created_at: float
    used_at: float
    ended_at: float | None
    end_reason: str | None


class SessionList(BaseModel):
    """By id."""

    sessions: list[SessionBody]
    next: str | None


class AuditBody(BaseModel):
    """One change: when, by whom, what, to whom. ``txn`` names its announcement on the feed."""

    id: int
    at: float
    actor: str
    action: str
    target: str | None
    details: dict[str, Any]
    txn: str | None


class AuditList(BaseModel):
    """Newest first."""

    entries: list[AuditBody]
    next: str | None
