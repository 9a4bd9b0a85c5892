"""What can go wrong in the issuer, by whose fault.

    OstrakaError
    └── IssuerError
        ├── SetupError               the home, the settings or the machine: an operator must act
        │   ├── HomeError            no home, an unfinished one, or one that is already there
        │   ├── KeyStoreError        a private key cannot be read, opened or written
        │   └── SchemaError          the database has a schema this version does not know
        ├── StoreUnavailable    503  the database is busy, full or broken; nothing was changed
        ├── FeedError           503  the feed does not do its work
        │   ├── FeedAheadError       the topic knows more than the database, which is an old copy: do not go on
        │   ├── TopicMismatch        the topic exists and is not as it must be
        │   ├── IntentSetAside       a committed change cannot be put into the feed
        │   ├── LeaseLost            another process writes the feed now; never leaves the feed
        │   ├── NothingYet           asked for before there is one
        │   ├── TooManyReaders       more readers at once than can be held
        │   └── FeedDown             the feed has ended; the message says why
        ├── SigningUnavailable  503  no key may sign tokens at this moment
        ├── HashingBusy         429  more logins at once than passwords can be checked
        ├── LoginRefused        401  wrong user name or password, or a disabled account: never said which
        ├── GrantRefused        400  a refresh token that is not good (any more)
        ├── Forbidden           403  whoever asks does not have what they would hand out
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
    retry_after: int | None = None


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


class FeedError(IssuerError):
    """The feed does not do its work."""

    code = "feed"
    status = 503


class FeedAheadError(FeedError):
    """The topic holds what was signed with this feed key and is not in the database: a restored backup."""

    code = "feed_ahead"


class TopicMismatch(FeedError):
    """The feed's topic has other partitions or settings than it must have."""

    code = "topic_mismatch"


class IntentSetAside(FeedError):
    """A change is committed, but verifiers cannot be told: its record cannot be made. An operator must act."""

    code = "intent_set_aside"
    status = 500


class LeaseLost(FeedError):
    """Another process has the feed's lease: this one writes nothing more, and stands by."""

    code = "lease_lost"


class NothingYet(FeedError):
    """What is asked for will be there soon: this process has only just begun."""

    code = "not_yet"
    retry_after = 1


class TooManyReaders(FeedError):
    """More readers of the feed at once than this process can hold."""

    code = "too_many_readers"
    retry_after = 5


class FeedDown(FeedError):
    """The feed does not run, or has ended."""

    code = "feed_down"


class Ending(IssuerError):
    """This process is ending and has no time left for a request that it had accepted."""

    code = "ending"
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


class Forbidden(IssuerError):
    """Whoever asks would hand out what they do not have themselves."""

    code = "forbidden"
    status = 403


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
