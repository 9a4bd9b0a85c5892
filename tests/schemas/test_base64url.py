import base64
import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError

# RFC 4648 §10, and the octets of RFC 7515 appendix C.
VECTORS = {
    b"": b"",
    b"f": b"Zg",
    b"fo": b"Zm8",
    b"foo": b"Zm9v",
    b"foob": b"Zm9vYg",
    b"fooba": b"Zm9vYmE",
    b"foobar": b"Zm9vYmFy",
    bytes([3, 236, 255, 224, 193]): b"A-z_4ME",
}


@pytest.mark.parametrize(("data", "text"), VECTORS.items())
def test_the_vectors_of_the_rfcs(data: bytes, text: bytes) -> None:
    assert base64url.encode(data) == text
    assert base64url.decode(text) == data
    assert base64url.decode_text(text.decode()) == data


@given(st.binary(max_size=200))
def test_what_was_encoded_decodes_to_itself_and_agrees_with_the_standard_library(data: bytes) -> None:
    encoded = base64url.encode(data)
    assert encoded == base64.urlsafe_b64encode(data).rstrip(b"=")
    assert base64url.decode(encoded) == data


def test_every_value_has_exactly_one_spelling() -> None:
    alphabet = (string.ascii_letters + string.digits + "-_").encode()
    for size, accepted in ((2, 256), (3, 65_536)):
        stem = b"A" * (size - 2)
        spellings = [stem + bytes([a, b]) for a in alphabet for b in alphabet]
        found = [base64url.decode(s) for s in spellings if _decodes(s)]
        assert len(found) == len(set(found))
        if size == 2:
            assert len(found) == accepted


@pytest.mark.parametrize("text", ["A", "AAAAA", "QQ==", "QUI=", "QR", "QUJ", "Zh", "Zm9"[:2] + "9"])
def test_impossible_lengths_padding_and_stray_bits_are_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        base64url.decode_text(text)


@pytest.mark.parametrize(
    "text", ["A+AA", "A/AA", "AA A", "AAA\n", "\tAAA", "AA=A", "ＡAAA", "A٣AA", "AAA\ud800", "A\0AA"]
)
def test_characters_outside_the_alphabet_are_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="outside"):
        base64url.decode_text(text)


def test_a_size_is_held_to() -> None:
    assert base64url.decode_text("A" * 43, size=32) == bytes(32)
    for text in ("", "A" * 42, "A" * 44):
        with pytest.raises(MalformedError):
            base64url.decode_text(text, size=32)


@given(st.text(max_size=20))
def test_nothing_but_our_error_comes_out(text: str) -> None:
    with suppress(MalformedError):
        assert base64url.encode(base64url.decode_text(text)).decode() == text


def _decodes(segment: bytes) -> bool:
    try:
        base64url.decode(segment)
    except MalformedError:
        return False
    return True
