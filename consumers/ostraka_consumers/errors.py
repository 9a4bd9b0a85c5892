"""Why a token was refused, and what else can go wrong.

    OstrakaError
    ├── ConfigurationError       what the verifier was given cannot work
    ├── SourceError              a feed source cannot be used as configured
    └── VerificationError        verify() did not return a grant
        ├── Malformed            401  not a token of ours at all
        ├── UnknownKey           401  no key of that name is known
        ├── KeyCompromised       401  the key's secret is out
        ├── BadSignature         401
        ├── WrongIssuer          401
        ├── WrongAudience        401
        ├── Expired              401
        ├── NotYetValid          401
        ├── Revoked              401  cut off or on the deny list
        ├── PermissionDenied     403  a good token, but not for this
        ├── Stale                503  the verifier has been without news for too long to vouch for anything
        ├── NotReady             503  the verifier has not caught up with the feed yet
        └── TooManyGrants        503  no more grants can be watched

Each carries a machine ``code``, an HTTP ``status`` and the value of a ``WWW-Authenticate`` header (RFC 6750 §3). No
message repeats the token.
"""

from typing import ClassVar

from ostraka_schemas.errors import OstrakaError


class ConfigurationError(OstrakaError):
    """The anchor, the audience or a requirement cannot work as given."""

    code = "configuration"


class SourceError(OstrakaError):
    """A feed source cannot be used as configured; waiting will not help."""

    code = "source"


class VerificationError(OstrakaError):
    """The token is not accepted.

    Attributes:
        code: machine name of the reason.
        status: HTTP status to answer with.
        error: error code of RFC 6750 §3.1, or ``None`` where the fault is not the caller's.
    """

    code = "verification"
    status: ClassVar[int] = 401
    error: ClassVar[str | None] = "invalid_token"

    @property
    def www_authenticate(self) -> str:
        """Value for the ``WWW-Authenticate`` header."""
        if self.error is None:
            return "Bearer"
        return f'Bearer error="{self.error}", error_description="{self.code}"'


class Malformed(VerificationError):
    """Shape, characters, JSON, header or claims break the rules of RFC 9068 or RFC 8725."""

    code = "malformed"


class UnknownKey(VerificationError):
    """No key of that name is in the key set, or it is destroyed."""

    code = "unknown_key"


class KeyCompromised(VerificationError):
    """The key is marked compromised: whatever it signed is refused."""

    code = "key_compromised"


class BadSignature(VerificationError):
    """Not signed by the key it names, with the algorithm that key is bound to."""

    code = "bad_signature"


class WrongIssuer(VerificationError):
    """``iss`` is not the issuer of the trust anchor."""

    code = "wrong_issuer"


class WrongAudience(VerificationError):
    """``aud`` names none of this verifier's audiences."""

    code = "wrong_audience"


class Expired(VerificationError):
    """``exp`` has passed."""

    code = "expired"


class NotYetValid(VerificationError):
    """``nbf`` or ``iat`` lies further ahead than the clock tolerance."""

    code = "not_yet_valid"


class Revoked(VerificationError):
    """On the deny list, or minted before a cut-off that applies to it."""

    code = "revoked"


class PermissionDenied(VerificationError):
    """The token is good but does not allow this."""

    code = "permission_denied"
    status = 403
    error = "insufficient_scope"


class Stale(VerificationError):
    """Nothing vouches for the state of the feed any more; no token can be accepted."""

    code = "stale"
    status = 503
    error = None


class NotReady(VerificationError):
    """The verifier has not reached the head of the feed yet; no token can be accepted."""

    code = "not_ready"
    status = 503
    error = None


class TooManyGrants(VerificationError):
    """The token is good, but no more grants can be watched at once."""

    code = "too_many_grants"
    status = 503
    error = None
