"""What a verifier found that a person must look at. An alarm that is a doubt ends freshness for good."""

from enum import StrEnum
from typing import Final


class Alarm(StrEnum):
    """Each has happened at least once since the verifier started."""

    EQUIVOCATION = "equivocation"
    """Two signed contents for one position: the feed key is used twice, or stolen."""
    NOT_UNDERSTOOD = "not_understood"
    """A signed record that must be understood and is not: this verifier is too old."""
    DEFECTIVE = "defective_record"
    """A signed record of a known kind that breaks its own rules: it could have been a revocation."""
    BEYOND_LIMITS = "beyond_limits"
    """A signed key set that the root document does not allow: the feed key may be stolen."""
    STATE_FULL = "state_full"
    """More revocations than there is room for."""
    ROOT_REFUSED = "root_refused"
    """A signed record brings a root document that the root keys did not sign: the feed key may be stolen."""
    CLOCK = "clock"
    """This clock and the issuer's are more than the clock tolerance apart: one of them is wrong."""
    WITHHELD = "withheld"
    """A source speaks of records that only another source brings: somebody on its way keeps them back."""

    ROLLED_BACK = "rolled_back"
    """A signed heartbeat does not know of records that were signed before it: the issuer goes on from an older copy of
    its database."""


DOUBTS: Final = frozenset(Alarm) - {Alarm.CLOCK, Alarm.WITHHELD, Alarm.ROLLED_BACK}
"""After one of these no heartbeat is believed to vouch for the state. Only a new epoch, which takes the root keys,
settles it."""
