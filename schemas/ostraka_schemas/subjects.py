"""Subject identifiers: whom an event is about (RFC 9493; ``jwt_id`` and ``complex`` from the OpenID SSF 1.0 §3)."""

from typing import Annotated, Literal

from pydantic import Field

from .model import Identifier, Text, WireModel


class IssSub(WireModel):
    """A user, named by issuer and subject (RFC 9493 §3.2.3)."""

    format: Literal["iss_sub"] = "iss_sub"
    iss: Identifier
    sub: Identifier


class Opaque(WireModel):
    """Something named by an id that only the issuer reads: a session, a client (RFC 9493 §3.2.4)."""

    format: Literal["opaque"] = "opaque"
    id: Identifier


class Uri(WireModel):
    """Something named by a URI; here always the issuer itself (RFC 9493 §3.2.7)."""

    format: Literal["uri"] = "uri"
    uri: Text


class JwtId(WireModel):
    """One token, named by issuer and ``jti`` (SSF §3.4.1)."""

    format: Literal["jwt_id"] = "jwt_id"
    iss: Identifier
    jti: Identifier


class Complex(WireModel):
    """A user's session, or a client, in one identifier (SSF §3.3). At least one member must be there."""

    format: Literal["complex"] = "complex"
    user: IssSub | None = None
    session: Opaque | None = None
    application: Opaque | None = None


SubjectIdentifier = Annotated[IssSub | Opaque | Uri | JwtId | Complex, Field(discriminator="format")]
