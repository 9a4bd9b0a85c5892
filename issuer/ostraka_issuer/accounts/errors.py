"""Errors of logging in that carry more than a sentence."""

import math

from ostraka_issuer.errors import IssuerError


class TooManyFailures(IssuerError):
    """Too many failed logins to this account or from this address: wait.

    Said of names that exist and of names that do not, before any password is looked at.
    """

    code = "login_throttled"
    status = 429

    def __init__(self, seconds: float) -> None:
        super().__init__("too many failed logins; wait before the next one")
        self.retry_after = max(1, math.ceil(seconds))
