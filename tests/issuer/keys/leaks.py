"""The shapes in which a secret would be found where it must not be."""

import base64
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select

from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import METADATA
from ostraka_schemas.jwk import SigningKey


def forms_of(key: SigningKey) -> list[bytes]:
    """The private half as bytes, DER, PEM, number, hexadecimal, base64 and base64url; of RSA, each secret number."""
    private = key.private
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
    numbers = list(_numbers(key))
    found = [der, body, *pem.splitlines()[1:2], *spellings(der)]
    for number in numbers:
        found += [number, str(int.from_bytes(number)).encode(), *spellings(number)]
    return found


def spellings(secret: bytes) -> list[bytes]:
    """Texts that a secret may be written as; in base64 it may also begin in the midst of a group."""
    found = [secret.hex().encode(), secret.hex().upper().encode(), repr(secret)[2:-1].encode()]
    # What surrounds the secret decides the first and the last group of base64; the rest is the secret's alone.
    found += [
        encode(bytes(shift) + secret)[4 if shift else 0 :].rstrip(b"=")[:-2]
        for shift in range(3)
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
    ]
    return found


async def everything_in(store: Store, *places: Path) -> bytes:
    """All rows of all tables, as text and as bytes, and every file in these directories with its name."""
    found: list[bytes] = []
    async with store.read() as tx:
        for table in METADATA.sorted_tables:
            for row in (await tx.execute(select(table))).all():
                found += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join([*found, *(part for place in places for part in files_in(place))])


def files_in(place: Path) -> Iterable[bytes]:
    """Names and contents of all files."""
    for path in sorted(place.rglob("*")):
        if path.is_file():
            yield path.name.encode()
            yield path.read_bytes()


def _numbers(key: SigningKey) -> Iterable[bytes]:
    private = key.private
    if isinstance(private, Ed25519PrivateKey):
        yield private.private_bytes_raw()
    elif isinstance(private, EllipticCurvePrivateKey):
        yield private.private_numbers().private_value.to_bytes(32)
    elif isinstance(private, RSAPrivateKey):
        secret = private.private_numbers()
        for number in (secret.d, secret.p, secret.q, secret.dmp1, secret.dmq1, secret.iqmp):
            yield number.to_bytes((number.bit_length() + 7) // 8)
