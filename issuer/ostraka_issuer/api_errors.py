"""What can go wrong in a call to the issuer, from the caller's side."""

from typing import Final

from .errors import IssuerError

_DENIALS: Final = (401, 403)


class IssuerUnreachable(IssuerError):
    """No answer: wrong address, not running, or not in time."""

    code = "unreachable"


class IssuerRefused(IssuerError):
    """The issuer answered, but not with what was asked for.

    Attributes:
        status: the HTTP status.
        problem: the machine name of the reason, if there was one.
    """

    code = "refused"

    def __init__(self, message: str, http_status: int, problem: str | None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.problem = problem

    @property
    def is_denial(self) -> bool:
        """Whether it was about who asks, not about what was asked."""
        return self.http_status in _DENIALS or self.problem == "invalid_grant"
