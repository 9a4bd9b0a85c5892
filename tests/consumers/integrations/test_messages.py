"""Tokens in Kafka messages: where they stand, and what a framework is shown."""

import pytest

from ostraka_consumers.errors import Malformed
from ostraka_consumers.integrations._bearer import NoToken
from ostraka_consumers.integrations._messages import Headers, bearer_token, harmless, rejection_headers, stub_headers


@pytest.mark.parametrize("value", [b"Bearer abc", b"bearer abc", b"BEARER abc"])
@pytest.mark.parametrize("name", ["authorization", "Authorization"])
def test_the_token_is_found(name: str, value: bytes) -> None:
    assert bearer_token([("x", b"1"), (name, value), ("y", None)]) == b"abc"


def test_no_header_is_no_token() -> None:
    for headers in ([], [("x", b"Bearer abc"), ("authorization ", b"Bearer abc")]):
        with pytest.raises(NoToken):
            bearer_token(headers)


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", None)],
        [("authorization", b"")],
        [("authorization", b"abc")],
        [("authorization", b"Basic abc")],
        [("authorization", b"Bearer\tabc")],
        [("authorization", b"Bearer a"), ("authorization", b"Bearer a")],
        [("authorization", b"Bearer a"), ("Authorization", b"Bearer b")],
        [("authorization", None), ("authorization", b"Bearer a")],
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(headers: Headers) -> None:
    with pytest.raises(Malformed):
        bearer_token(headers)


def test_a_framework_sees_text_and_no_address_for_answers() -> None:
    headers = [("a", b"1"), ("reply_to", b"elsewhere"), ("b", None), ("c", b"\xff"), ("a", "é".encode()), ("d", b"")]
    assert harmless(headers) == (("a", b"1"), ("a", "é".encode()), ("d", b""))


def test_headers_of_a_refusal() -> None:
    assert rejection_headers("revoked", 1_800_000_000.5) == [
        ("ostraka-reason", b"revoked"),
        ("ostraka-rejected-at", b"1800000000.500"),
    ]


def test_a_stub_says_where_the_value_is_and_what_it_was() -> None:
    digest = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc": FIPS 180-4, example 1
    assert stub_headers("orders", 2, 17, b"abc") == [("ostraka-original", b"orders/2/17"), ("ostraka-sha256", digest)]
    assert stub_headers("orders", 2, 17, None)[1] == ("ostraka-sha256", None)
