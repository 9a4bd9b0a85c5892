"""The claims of an access token (RFC 9068 §2.2, RFC 7519 §4.1), and ours: ``sid``, ``permissions``, ``fv``."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from .limits import AUDIENCES_MAX, PERMISSIONS_MAX, SEQ_MAX
from .model import Identifier, NumericDate, WireModel, validated
from .permissions import Permission

Epoch = Annotated[int, Field(ge=1, le=SEQ_MAX)]
Seq = Annotated[int, Field(ge=0, le=SEQ_MAX)]


class Confirmation(WireModel):
    """``cnf``: the key that the bearer must prove to hold (RFC 7800 §3.1, RFC 9449 §6.1)."""

    jkt: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class Actor(WireModel):
    """``act``: who acts for the subject (RFC 8693 §4.1), and inside it through whom the request came before.

    A cut-off of any client in it ends the token, too.
    """

    sub: Identifier
    client_id: Identifier | None = None
    act: "Actor | None" = None

    def chain(self) -> "Iterator[Actor]":
        """This actor and those before it, the newest first."""
        actor: Actor | None = self
        while actor is not None:
            yield actor
            actor = actor.act


class AccessTokenClaims(WireModel):
    """Everything a verifier knows of a caller.

    ``fv`` is the feed position (epoch, seq) at minting: cut-offs compare it, so no two clocks need agree. Only tokens
    of a foreign issuer may lack it.
    """

    iss: Identifier
    sub: Identifier
    aud: Identifier | Annotated[list[Identifier], Field(min_length=1, max_length=AUDIENCES_MAX)]
    client_id: Identifier
    iat: NumericDate
    nbf: NumericDate | None = None
    exp: NumericDate
    jti: Identifier
    sid: Identifier | None = None
    permissions: Annotated[list[Permission], Field(max_length=PERMISSIONS_MAX)] = Field(default_factory=list)
    auth_time: NumericDate | None = None
    cnf: Confirmation | None = None
    act: Actor | None = None
    fv: Annotated[tuple[Epoch, Seq] | None, Field(strict=False)] = None

    @property
    def audiences(self) -> tuple[str, ...]:
        """``aud`` as a tuple, whichever of its two forms was used (RFC 7519 §4.1.3)."""
        return (self.aud,) if isinstance(self.aud, str) else tuple(self.aud)


def read_claims(members: dict[str, Any]) -> AccessTokenClaims:
    """Check the claims of an access token.

    Raises:
        MalformedError: a required claim is missing, or one has another type or size.
    """
    return validated(lambda: AccessTokenClaims.model_validate(members), "claims")
