"""What a verified token still allows."""

import math
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Literal

from ostraka_schemas.claims import AccessTokenClaims
from ostraka_schemas.permissions import covered_by_any, is_permission

from .errors import ConfigurationError, PermissionDenied
from .live import Ending, Watch, Watched
from .requirements import Requirement, all_of
from .trust.lapse import Asked, Patience

if TYPE_CHECKING:
    from .trust.core import TrustCore
    from .trust.tokens import GenuineToken


class Grant:
    """Subject, client and permissions of a token that was verified.

    Permissions are asked of the current state of the feed each time, so a permission revoked after ``verify`` is gone
    here too. Whether the token as a whole still lives is asked by verifying again, or, for work that goes on for long,
    by watching: ``ended`` and ``watched``. A watch bears as much staleness, and goes on by grace, as the call that gave
    the grant said. All who bring the same token may share one grant, so it does not remember what was required of it.
    """

    __slots__ = ("_core", "_grace", "_max_staleness", "_token", "_watch")

    def __init__(
        self,
        core: "TrustCore",
        token: "GenuineToken",
        watch: Watch | None = None,
        max_staleness: float = math.inf,
        grace: Literal["until_exp"] | None = None,
    ) -> None:
        self._core = core
        self._token = token
        self._watch = watch
        self._max_staleness = max_staleness
        self._grace = grace

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

    # --- for work that goes on ---------------------------------------------------------------------------------------

    async def ended(self, *requires: "str | Requirement") -> Ending:
        """Wait until a verifier that is asked again would refuse, and say why; at once if it has come to that already.

        Costs memory only while it is awaited. On the event loop that the verifier was started on.

        Args:
            requires: what must go on being allowed, permissions or what ``all_of`` and ``any_of`` make of them.

        Raises:
            TooManyGrants: ``LIVE_GRANTS_MAX`` are watched already.
            ConfigurationError: this is another event loop or thread, or something required is no permission.
        """
        return await self._watcher().ended(self._token, _checked(requires), self._patience())

    def watched(self, *requires: "str | Requirement") -> AbstractAsyncContextManager["Grant"]:
        """A context manager that cancels its body when the grant ends, and raises the reason from there.

            async with grant.watched("orders:read"):
                await stream_for_hours()

        A body that ends by itself is left alone, whatever happens to the grant meanwhile, and a cancellation from
        outside stays one. A body that is cancelled for the grant and returns as if nothing was is not believed.

        Args:
            requires: what must go on being allowed, permissions or what ``all_of`` and ``any_of`` make of them.

        Raises:
            VerificationError: on entry, if the grant has ended already or ``LIVE_GRANTS_MAX`` are watched; on leaving,
                what ended it: ``Revoked``, ``PermissionDenied``, ``Expired``, ``Stale``, ``KeyCompromised``,
                ``UnknownKey``, or ``NotReady`` because the verifier was stopped.
            ConfigurationError: as for ``ended``.
        """
        return Watched(self._watcher(), self, self._token, _checked(requires), self._patience())

    def _watcher(self) -> Watch:
        if self._watch is None:
            raise ConfigurationError("this grant was not given by a verifier, so none can watch it")
        return self._watch

    def _patience(self) -> Patience:
        return Patience(self._max_staleness, self._grace is not None)

    def __repr__(self) -> str:
        return f"Grant(subject={self.subject!r}, client_id={self.client_id!r}, token_id={self.token_id!r})"


def _checked(requires: Asked) -> Asked:
    if requires:
        all_of(*requires)
    return requires
