"""Mutations of bytes that know nothing of what the bytes mean."""

from collections.abc import Callable
from random import Random

BITS_MAX = 8
PIECE_MAX = 24
LENGTHS = (8_191, 8_192, 8_193, 65_535, 65_536, 65_537, 262_144, 262_145)
_SPECIAL = (b".", b"=", b"+", b"/", b" ", b"\n", b"\0", b"%", b"{", b'"', b"\\", b"\x80", b"\xff", "١".encode())
_FILLER = b"A" * 1_000_000

Mutation = Callable[[Random, bytes], bytes]


def flip_bits(chance: Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.randint(1, BITS_MAX) if chance.random() < 0.3 else 1):
        changed[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def set_byte(chance: Random, raw: bytes) -> bytes:
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]


def insert(chance: Random, raw: bytes) -> bytes:
    at = chance.randint(0, len(raw))
    put = chance.choice(_SPECIAL) if chance.random() < 0.5 else chance.randbytes(chance.randint(1, PIECE_MAX))
    return raw[:at] + put + raw[at:]


def delete(chance: Random, raw: bytes) -> bytes:
    at, end = _piece(chance, raw)
    return raw[:at] + raw[end:]


def duplicate(chance: Random, raw: bytes) -> bytes:
    at, end = _piece(chance, raw)
    return raw[:end] + raw[at:end] + raw[end:]


def move(chance: Random, raw: bytes) -> bytes:
    at, end = _piece(chance, raw)
    rest = raw[:at] + raw[end:]
    to = chance.randint(0, len(rest))
    return rest[:to] + raw[at:end] + rest[to:]


def truncate(chance: Random, raw: bytes) -> bytes:
    at = chance.randint(0, len(raw) - 1)
    return raw[:at] if chance.random() < 0.7 else raw[at + 1 :]


def swap_case(chance: Random, raw: bytes) -> bytes:
    at, end = _piece(chance, raw)
    return raw[:at] + raw[at:end].swapcase() + raw[end:]


def repeat(chance: Random, raw: bytes) -> bytes:
    return chance.choice([b"", b".", b",", b"\n"]).join([raw] * chance.randint(2, 4))


def reverse(chance: Random, raw: bytes) -> bytes:
    return raw[::-1]


def lengthen(chance: Random, raw: bytes) -> bytes:
    """To about one of the lengths that mean something, or far beyond them."""
    length = chance.choice(LENGTHS) if chance.random() < 0.9 else len(_FILLER)
    filler = _FILLER[: max(1, length - len(raw))]
    at = chance.randint(0, len(raw))
    return raw[:at] + filler + raw[at:]


def noise(chance: Random, raw: bytes) -> bytes:
    return chance.randbytes(chance.randint(0, len(raw)))


def _piece(chance: Random, raw: bytes) -> tuple[int, int]:
    at = chance.randrange(len(raw))
    return at, min(len(raw), at + chance.randint(1, PIECE_MAX))


BLIND: tuple[Mutation, ...] = (
    *(flip_bits, flip_bits, set_byte, insert, insert, delete, duplicate, move),
    *(truncate, swap_case, repeat, reverse, noise),
)
"""Those that come often are named twice; ``lengthen`` is left to the caller, for it is slow to make."""
