"""What a verified token still allows."""

from typing import TYPE_CHECKING

from ostraka_schemas.claims import AccessTokenClaims
from ostraka_schemas.permissions import covered_by_any, is_permission

from .errors import ConfigurationError, PermissionDenied
from .requirements import Requirement

if TYPE_CHECKING:
    from .trust.core import TrustCore
    from .trust.tokens import GenuineToken


class Grant:
    """Subject, client and permissions of a token that was verified.

    Permissions are asked of the current state of the feed each time, so a permission revoked after ``verify`` is gone
    here too. Whether the token as a whole still lives is asked by verifying again.
    """

    __slots__ = ("_core", "_token")

    def __init__(self, core: "TrustCore", token: "GenuineToken") -> None:
        self._core = core
        self._token = token

    @property
    def claims(self) -> AccessTokenClaims:
        """The token's claims, as they were signed."""
        return self._token.claims

    @property
    def issuer(self) -> str:
        """``iss``."""
        return self._token.claims.iss

    @property
    def subject(self) -> str:
        """``sub``: on whose behalf."""
        return self._token.claims.sub

    @property
    def client_id(self) -> str:
        """``client_id``: by which client."""
        return self._token.claims.client_id

    @property
    def audience(self) -> tuple[str, ...]:
        """``aud``: for whom."""
        return self._token.claims.audiences

    @property
    def session_id(self) -> str | None:
        """``sid``: the login session, if there is one."""
        return self._token.claims.sid

    @property
    def token_id(self) -> str:
        """``jti``."""
        return self._token.claims.jti

    @property
    def issued_at(self) -> int:
        """``iat``, seconds since the epoch."""
        return self._token.claims.iat

    @property
    def expires_at(self) -> int:
        """``exp``, seconds since the epoch."""
        return self._token.claims.exp

    @property
    def permissions(self) -> tuple[str, ...]:
        """The token's permissions, less those that are gone. A pattern of which only a part is gone is not listed."""
        return tuple(p for p in self._token.claims.permissions if self._core.allows(self._token, p))

    def allows(self, permission: str) -> bool:
        """Whether the token carries ``permission``, nothing later took it away, and no revocation covers it.

        Raises:
            ConfigurationError: ``permission`` is not of the form ``resource:action``.
        """
        if not is_permission(permission):
            raise ConfigurationError(f"{permission!r} is not a permission: write resource:action, e.g. orders:create")
        return covered_by_any(self._token.claims.permissions, permission) and self._core.allows(self._token, permission)

    def require(self, permission: str | Requirement) -> None:
        """Insist on a permission, or on what ``all_of`` and ``any_of`` make of several.

        Raises:
            PermissionDenied: the token does not, or no longer, allow it.
            ConfigurationError: ``permission`` is not of the form ``resource:action``.
        """
        if isinstance(permission, Requirement):
            if not permission.is_met_by(self):
                raise PermissionDenied(f"this needs {permission}")
        elif not self.allows(permission):
            raise PermissionDenied(f"this needs the permission {permission}")

    def __repr__(self) -> str:
        return f"Grant(subject={self.subject!r}, client_id={self.client_id!r}, token_id={self.token_id!r})"
