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
    TooManyGrants,
    UnknownKey,
    VerificationError,
    WrongAudience,
    WrongIssuer,
)
from .grant import Grant
from .issuers import MultiIssuerVerifier
from .live import Ending
from .protocol import TokenVerifier
from .requirements import Requirement, all_of, any_of
from .status import IssuersStatus, Status
from .trust.freshness import Freshness
from .verifier import Verifier

__all__ = [
    "BadSignature",
    "ConfigurationError",
    "Ending",
    "Expired",
    "Freshness",
    "Grant",
    "IssuersStatus",
    "KeyCompromised",
    "Malformed",
    "MultiIssuerVerifier",
    "NotReady",
    "NotYetValid",
    "PermissionDenied",
    "Requirement",
    "Revoked",
    "SourceError",
    "Stale",
    "Status",
    "TokenVerifier",
    "TooManyGrants",
    "TrustAnchor",
    "UnknownKey",
    "VerificationError",
    "Verifier",
    "WrongAudience",
    "WrongIssuer",
    "all_of",
    "any_of",
]
