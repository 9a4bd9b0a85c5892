"""A signed snapshot as a whole: made from a state, and read back from stored parts."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from ostraka_consumers.trust.effects import TrustState
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import MalformedError, WireError
from ostraka_schemas.jwk import SigningKey, VerificationKey
from ostraka_schemas.limits import SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.records import Head
from ostraka_schemas.snapshots import SnapshotPart, SnapshotState, cut, read_payload, sign_part


class Snapshot(NamedTuple):
    """A snapshot, ready to be sent.

    Attributes:
        iat: when it was made, seconds since the epoch.
        root_version: of the root document in force at its head.
        kid: of the key that signed it.
        body: all parts, one a line.
        etag: names exactly these parts (RFC 9110 §8.8.3).
    """

    head: Head
    iat: int
    root_version: int
    kid: str
    parts: Sequence[bytes]
    body: bytes
    etag: str


async def make_snapshot(
    state: TrustState, head: Head, key: SigningKey, *, iss: str, iat: int, root_version: int
) -> Snapshot:
    """Sign the state at ``head``. What changes meanwhile does not change it.

    It takes its time in steps of a few ms, one a part; between two, everything else has a turn. A thread would be no
    better: it would take the interpreter's lock from every answer that is being sent.

    Raises:
        MalformedError: the state is larger than a snapshot can be.
    """
    shares: list[SnapshotState] = []
    for share in cut(contents_of(state)):
        shares.append(share)
        await asyncio.sleep(0)
    parts: list[bytes] = []
    name = snapshot_id(shares)
    for number, share in enumerate(shares, start=1):
        parts.append(
            sign_part(
                key,
                iss=iss,
                iat=iat,
                jti=f"{name}.{number}",
                head=head,
                root_version=root_version,
                part=number,
                parts=len(shares),
                state=share,
            )
        )
        await asyncio.sleep(0)
    return Snapshot(head, iat, root_version, key.kid, parts, *_sent(parts))


def snapshot_id(shares: Sequence[SnapshotState]) -> str:
    """What the ``jti`` of all parts begin with, up to the dot: others that were cut otherwise have another one."""
    digest = sha256()
    for share in shares:
        digest.update(share.model_dump_json().encode())
    return base64url.encode(digest.digest()[:16]).decode()


async def read_parts(raws: Sequence[bytes], keys: Sequence[VerificationKey], *, iss: str) -> Snapshot | None:
    """A snapshot that is whole and signed by one of ``keys``; ``None`` for anything else."""
    known = {key.kid: key for key in keys}
    heads: set[tuple[Head, int, int, int, str]] = set()
    numbers: list[int] = []
    for raw in raws:
        try:
            part, kid = _read(raw, known)
        except WireError:
            return None
        if part is None or part.iss != iss:
            return None
        heads.add((part.head, part.iat, part.parts, part.root_version, kid))
        numbers.append(part.part)
        await asyncio.sleep(0)
    if len(heads) != 1 or numbers != list(range(1, len(raws) + 1)):
        return None
    ((head, iat, count, root_version, kid),) = heads
    return Snapshot(head, iat, root_version, kid, raws, *_sent(raws)) if count == len(raws) else None


def _sent(parts: Sequence[bytes]) -> tuple[bytes, str]:
    """The body of these parts, and what names them."""
    digest = sha256()
    for part in parts:
        digest.update(part)
    return b"\n".join([*parts, b""]), f'"{base64url.encode(digest.digest()[:16]).decode()}"'


def _read(raw: bytes, keys: dict[str, VerificationKey]) -> tuple[SnapshotPart | None, str]:
    compact = jws.split(raw, max_bytes=SNAPSHOT_PART_MAX_BYTES)
    header = jws.read_header(compact.header, typ=jws.TYP_EVENT)
    if header.kid not in keys:
        raise MalformedError("signed by a key that is not in force")
    jws.check(compact, header, keys[header.kid])
    content = read_payload(base64url.decode(compact.payload))
    return content if isinstance(content, SnapshotPart) else None, header.kid
