"""What bytes really are, whoever believes them."""

from collections.abc import Collection
from typing import Literal

from ostraka_schemas.records import Head

from .truth import Truth

Nature = Literal[
    "record", "heartbeat", "part", "root", "stolen record", "stolen heartbeat", "stolen part", "old root", "bad"
]
"""``bad`` is anything that no key in force has signed, ``old root`` a root document that claims to be an older version,
whoever signed it."""


def nature_of(raw: bytes, truth: Truth, versions: range, believed: Collection[bytes]) -> Nature:
    """What ``raw`` is to a verifier.

    Args:
        versions: of the root documents there, from the one in force to the newest that waits; 0 for none.
        believed: records of a thief that it took while his key was in force.
    """
    version = versions[-1]
    if raw in truth.records:
        return "record"
    if raw in truth.beats:
        return "heartbeat"
    if raw in truth.parts:
        return "part"
    if raw in truth.roots:
        return "root" if truth.roots[raw].version > version else "old root"
    if truth.forged_roots.get(raw, version + 1) <= version:
        return "old root"
    return "stolen record" if raw in believed else _nature_of_stolen(raw, truth, versions)


def _nature_of_stolen(raw: bytes, truth: Truth, versions: range) -> Nature:
    stolen = truth.stolen
    if raw in stolen.records and is_named(truth, versions, *stolen.records[raw]):
        return "stolen record"
    if raw in stolen.beats and is_named(truth, versions, stolen.beats[raw].head, stolen.beats[raw].signer):
        return "stolen heartbeat"
    if raw in stolen.parts and is_named(truth, versions, stolen.parts[raw].head, stolen.parts[raw].signer):
        return "stolen part"
    return "bad"


def is_named(truth: Truth, versions: range, head: Head, signer: int) -> bool:
    """Whether one of these root documents names the feed key of that number, for the epoch of ``head``."""
    roots = [truth.named[version] for version in versions if version in truth.named]
    return any(signer in root.feed and head.position.epoch == root.epoch for root in roots)
