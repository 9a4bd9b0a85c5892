"""How bytes lie in a file: a mark that says what the file holds, then frames of length, checksum and payload.

The checksum (CRC-32) is against torn writes and bad disks. Against malice there are the signatures inside.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

from ostraka_schemas.limits import SNAPSHOT_PART_MAX_BYTES

ROOTS: Final = b"ostraka roots 1\n"
SNAPSHOT: Final = b"ostraka snapshot 1\n"
JOURNAL: Final = b"ostraka journal 1\n"
POSITION: Final = b"ostraka position 1\n"

_LENGTH: Final = struct.Struct(">I")
_HEAD: Final = struct.Struct(">II")


class Frame(NamedTuple):
    """What one frame holds, and where in the file it ends."""

    payload: bytes
    end: int


def frame(payload: bytes) -> bytes:
    """The frame of ``payload``, which has 1 to ``SNAPSHOT_PART_MAX_BYTES`` bytes."""
    return _HEAD.pack(len(payload), _checksum(payload)) + payload


def document(mark: bytes, payloads: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a whole file, piece by piece."""
    yield mark
    for payload in payloads:
        yield frame(payload)


def read(file: BinaryIO, mark: bytes) -> Iterator[Frame]:
    """The frames up to the first one that is damaged; none if the file is not of that mark.

    Raises:
        OSError
    """
    if file.read(len(mark)) != mark:
        return
    end = len(mark)
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        if not 0 < length <= SNAPSHOT_PART_MAX_BYTES:
            return
        payload = file.read(length)
        if len(payload) != length or _checksum(payload) != checksum:
            return
        end += _HEAD.size + length
        yield Frame(payload, end)


def _checksum(payload: bytes) -> int:
    # With the length in it: a frame cut short must not look like a shorter one.
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(len(payload))))
