"""Verify access tokens locally, and know within milliseconds when one is cut off."""

from .anchor import TrustAnchor
from .errors import (
    BadSignature,
    ConfigurationError,
    Expired,
    KeyCompromised,
    Malformed,
    NotReady,
    NotYetValid,
    PermissionDenied,
    Revoked,
    SourceError,
    Stale,
    UnknownKey,
    VerificationError,
    WrongAudience,
    WrongIssuer,
)
from .grant import Grant
from .requirements import Requirement, all_of, any_of
from .status import Status
from .trust.freshness import Freshness
from .verifier import Verifier

__all__ = [
    "BadSignature",
    "ConfigurationError",
    "Expired",
    "Freshness",
    "Grant",
    "KeyCompromised",
    "Malformed",
    "NotReady",
    "NotYetValid",
    "PermissionDenied",
    "Requirement",
    "Revoked",
    "SourceError",
    "Stale",
    "Status",
    "TrustAnchor",
    "UnknownKey",
    "VerificationError",
    "Verifier",
    "WrongAudience",
    "WrongIssuer",
    "all_of",
    "any_of",
]
