"""What requests and answers look like. A request with a member that is not known is refused: it may be misspelt."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from ostraka_issuer.limits import KEY_LEAD_MAX, KEY_LEAD_MIN, USERNAME_MAX_CHARS
from ostraka_schemas.limits import AUDIENCES_MAX
from ostraka_schemas.model import Identifier, NumericDate, Text
from ostraka_schemas.permissions import Permission


class Body(BaseModel):
    """Base of request bodies."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Login(Body):
    """``POST /login``."""

    username: Annotated[str, Field(min_length=1, max_length=USERNAME_MAX_CHARS)]
    password: SecretStr
    client_id: Identifier | None = None
    audience: Annotated[list[Identifier], Field(min_length=1, max_length=AUDIENCES_MAX)] | None = None


class Reasoned(Body):
    """Something an operator gives a reason for."""

    reason: Text | None = None


class RevokeToken(Reasoned):
    """One token, by ``jti``. ``exp`` is the token's own; without it the entry stays as long as any token lives."""

    kind: Literal["token"]
    jti: Identifier
    exp: NumericDate | None = None


class RevokeSession(Reasoned):
    """One login session."""

    kind: Literal["session"]
    session_id: Identifier


class RevokeSubject(Reasoned):
    """One user, by ``sub`` or by user name."""

    kind: Literal["subject"]
    subject: Identifier | None = None
    username: Annotated[str, Field(min_length=1, max_length=USERNAME_MAX_CHARS)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "RevokeSubject":
        if (self.subject is None) == (self.username is None):
            raise ValueError("either subject or username")
        return self


class RevokeClient(Reasoned):
    """One client."""

    kind: Literal["client"]
    client_id: Identifier


class RevokePermission(Reasoned):
    """A permission, or all that a pattern means, from everyone."""

    kind: Literal["permission"]
    permission: Permission


class RevokeAll(Reasoned):
    """Everyone."""

    kind: Literal["all"]


Revocation = Annotated[
    RevokeToken | RevokeSession | RevokeSubject | RevokeClient | RevokePermission | RevokeAll,
    Field(discriminator="kind"),
]


class Rotation(Body):
    """``POST /admin/keys/rotate``. ``lead``: seconds for which the successor is published before it signs."""

    lead: Annotated[int, Field(ge=KEY_LEAD_MIN, le=KEY_LEAD_MAX)] | None = None


class Compromise(Reasoned):
    """``POST /admin/keys/{kid}/compromise``."""


class Tokens(BaseModel):
    """What a login or a refresh gives (RFC 6749 §5.1). ``expires_in`` is seconds."""

    access_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int
    refresh_token: str = Field(repr=False)
    session_id: str


class Committed(BaseModel):
    """A committed change. ``epoch`` and ``seq`` are its place in the feed, ``null`` while it waits for one.

    ``published``: the broker has acknowledged it; what it has not is sent as soon as it can be reached.
    ``committed_at``, seconds since the epoch, was read just after the commit.
    """

    txn: str
    epoch: int | None
    seq: int | None
    published: bool
    committed_at: float


class RevocationDone(Committed):
    """A committed revocation: how many sessions it ended and how many users' grants it took away."""

    sessions_ended: int = 0
    grants_removed: int = 0


class KeyChanged(Committed):
    """A committed change of the key set.

    ``kid`` is the key it is about; ``signs_with`` and ``signs_from`` name the successor, if it brought one.
    """

    kid: str
    signs_with: str | None = None
    signs_from: int | None = None


class ListedRevocation(Committed):
    """A revocation of the past. ``target`` is the token, session, subject, client or permission it is about."""

    kind: str
    target: str | None
    reason: str | None


class RevocationList(BaseModel):
    """Newest first. ``next``, if there may be more, goes into the parameter ``before``."""

    revocations: list[ListedRevocation]
    next: str | None


class ListedKey(BaseModel):
    """A token key. Times are seconds since the epoch; ``signs`` says whether it signs now."""

    kid: str
    alg: str
    state: str
    state_at: float
    nbf: int
    exp: int
    max_token_lifetime: int
    created_at: float
    announced: bool
    signs: bool


class KeyList(BaseModel):
    """All token keys ever made, oldest first."""

    keys: list[ListedKey]
