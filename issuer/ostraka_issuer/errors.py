# ruff: noqa: N818 - the names are the messages: what is refused, missing or busy
"""What can go wrong in the issuer, by whose fault.

    OstrakaError
    └── IssuerError
        ├── SetupError               the home, the settings or the machine: an operator must act
        │   ├── HomeError            no home, an unfinished one, or one that is already there
        │   ├── KeyStoreError        a private key cannot be read, opened or written
        │   └── SchemaError          the database has a schema this version does not know
        ├── StoreUnavailable    503  the database is busy, full or broken; nothing was changed
        ├── SigningUnavailable  503  no key may sign tokens at this moment
        ├── HashingBusy         429  more logins at once than passwords can be checked
        ├── LoginRefused        401  wrong user name or password, or a disabled account: never said which
        ├── GrantRefused        400  a refresh token that is not good (any more)
        ├── BadRequest          400  the request breaks a rule
        ├── NotFound            404  no such user, session, key …
        └── Conflict            409  it exists already, or its state does not allow this

Each has a machine ``code`` and, where HTTP can meet it, a ``status``. No message repeats a password or a token.
"""

from typing import ClassVar

from ostraka_schemas.errors import OstrakaError


class IssuerError(OstrakaError):
    """Base of the issuer's errors.

    Attributes:
        status: HTTP status to answer with.
        retry_after: seconds after which trying again makes sense, or ``None``.
    """

    code = "issuer"
    status: ClassVar[int] = 500
    retry_after: ClassVar[int | None] = None


class SetupError(IssuerError):
    """The issuer cannot run as it is set up."""

    code = "setup"


class HomeError(SetupError):
    """The home directory is missing, unfinished, unreadable or taken."""

    code = "home"


class KeyStoreError(SetupError):
    """A private key, or the secret they are sealed with, cannot be read, opened or written."""

    code = "key_store"


class SchemaError(SetupError):
    """The database was made by another version and cannot be brought to this one's schema."""

    code = "schema"


class StoreUnavailable(IssuerError):
    """The database did not do it: busy for too long, disk full, file broken. Nothing was changed."""

    code = "store_unavailable"
    status = 503
    retry_after = 1


class SigningUnavailable(IssuerError):
    """No token key is active and announced on the feed."""

    code = "signing_unavailable"
    status = 503
    retry_after = 1


class HashingBusy(IssuerError):
    """The bounded queue for password checks is full."""

    code = "too_many_logins"
    status = 429
    retry_after = 1


class LoginRefused(IssuerError):
    """User name and password do not open an account."""

    code = "login_refused"
    status = 401


class GrantRefused(IssuerError):
    """The refresh token is malformed, foreign, expired, revoked or was used before (RFC 6749 §5.2, invalid_grant)."""

    code = "invalid_grant"
    status = 400


class BadRequest(IssuerError):
    """The request breaks a rule; the message says which."""

    code = "bad_request"
    status = 400


class NotFound(IssuerError):
    """What the request names does not exist."""

    code = "not_found"
    status = 404


class Conflict(IssuerError):
    """What the request asks for does not fit what is there."""

    code = "conflict"
    status = 409
