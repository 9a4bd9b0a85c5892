"""Who has signed a root document, and who is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ostraka_schemas.root import RootDocument, read_root_unverified, signers


@dataclass(frozen=True, slots=True)
class Quorum:
    """One of the thresholds that a document must meet.

    Attributes:
        version: whose root keys these are.
        needed: how many must sign.
        signed, missing: kids of those who have, and who have not.
    """

    version: int
    needed: int
    signed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def is_met(self) -> bool:
        """Whether enough have signed."""
        return len(self.signed) >= self.needed


def quorums(value: Mapping[str, Any], current: RootDocument | None) -> tuple[Quorum, ...]:
    """The thresholds of a document or draft: its predecessor's, if that is known, and its own.

    Raises:
        MalformedError: not a root document.
    """
    document = read_root_unverified(value)
    precedes = current is not None and current.version == document.version - 1
    judges = (current, document) if current is not None and precedes else (document,)
    return tuple(_quorum(value, judge) for judge in judges)


def _quorum(value: Mapping[str, Any], judge: RootDocument) -> Quorum:
    signed = signers(value, judge.root_keys())
    missing = tuple(key.kid for key in judge.root_keys() if key.kid not in signed)
    return Quorum(judge.version, judge.root.threshold, signed, missing)


def still_needed(value: Mapping[str, Any], current: RootDocument) -> str | None:
    """What is missing before the document may be published, for people; ``None`` if nothing is.

    Raises:
        MalformedError: not a root document.
    """
    unmet = [quorum for quorum in quorums(value, current) if not quorum.is_met]
    if not unmet:
        return None
    return "; ".join(
        f"{quorum.needed - len(quorum.signed)} more of version {quorum.version}'s root keys must sign: "
        f"{', '.join(quorum.missing)}"
        for quorum in unmet
    )
