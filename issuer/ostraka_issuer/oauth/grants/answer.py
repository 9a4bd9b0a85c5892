"""What the token endpoint answers (RFC 6749 §5.1)."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """Tokens, and what is said beside them. ``expires_in`` is seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str | None = field(default=None, repr=False)
    session_id: str | None = None
    scope: str | None = None
    issued_token_type: str | None = None

    def members(self) -> dict[str, Any]:
        """The members of the JSON object; what is not there is left out."""
        found: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "refresh_token": self.refresh_token,
            "session_id": self.session_id,
            "scope": self.scope,
            "issued_token_type": self.issued_token_type,
        }
        return {name: value for name, value in found.items() if value is not None}
