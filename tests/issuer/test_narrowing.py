"""Which event for which change, without a database."""

import pytest

from ostraka_issuer.accounts.client_changes import check_client, loses
from ostraka_issuer.accounts.clients import Client, public_client
from ostraka_issuer.accounts.narrowing import (
    Cause,
    client_cut_off,
    is_less,
    permissions_gone,
    permissions_left,
    subject_cut_off,
)
from ostraka_issuer.errors import BadRequest
from ostraka_schemas.events import read_event
from tests.issuer.test_client_credentials import KEYS, jwks

CAUSE = Cause("https://id.example", 1_800_000_000.7, "left the company")


@pytest.mark.parametrize(
    ("before", "after", "less"),
    [
        ([], [], False),
        (["orders:read"], ["orders:read"], False),
        (["orders:read"], ["orders:read", "orders:create"], False),
        (["orders:read"], ["orders:*"], False),
        (["orders:read"], ["*:read"], False),
        (["orders:read", "orders:*"], ["orders:*"], False),
        (["orders:read"], [], True),
        (["orders:*"], ["orders:read"], True),
        (["*:read"], ["orders:*"], True),
        (["orders:read", "orders:create"], ["orders:create"], True),
    ],
)
def test_less_is_what_allows_less_however_it_is_spelled(before: list[str], after: list[str], less: bool) -> None:
    assert is_less(before, after) is less
    told = permissions_left(CAUSE, "alice", before, after)
    assert len(told) == less
    if told:
        assert told[0].event.model_dump()["claims"] == {"permissions": after}


def test_every_announcement_is_what_a_verifier_reads_with_its_reason() -> None:
    told = [
        *permissions_left(CAUSE, "alice", ["a:b"], []),
        *permissions_gone(CAUSE, ["a:b", "a:*"]),
        subject_cut_off(CAUSE, "alice"),
        client_cut_off(CAUSE, "shop"),
    ]
    assert len(told) == 5
    for each in told:
        members = each.event.model_dump(mode="json", exclude_none=True)
        assert read_event(each.event.uri, members, each.subject) == each.event
        assert members["reason_admin"] == {"en": "left the company"}
    assert subject_cut_off(Cause("https://id.example", 1.0), "alice").event.model_dump()["reason_admin"] is None


def client(**values: object) -> Client:
    return Client(
        **{  # type: ignore[arg-type]
            "id": "shop",
            "name": "Shop",
            "auth_method": "private_key_jwt",
            "secret_hash": None,
            "jwks": jwks(KEYS[0], KEYS[1]),
            "grant_types": ("client_credentials", "refresh_token"),
            "audiences": ("orders", "reports"),
            "disabled": False,
            "created_at": 1.0,
            **values,
        }
    )


@pytest.mark.parametrize(
    "after",
    [
        {"disabled": True},
        {"grant_types": ("refresh_token",)},
        {"audiences": ("orders",)},
        {"audiences": ()},
        {"jwks": jwks(KEYS[0])},
        {"jwks": jwks(KEYS[0], KEYS[2])},
    ],
)
def test_what_a_client_can_lose(after: dict[str, object]) -> None:
    assert loses(client(), client(**after))


def test_a_client_for_every_audience_loses_when_it_gets_some() -> None:
    assert loses(client(audiences=()), client(audiences=("orders",)))


@pytest.mark.parametrize(
    "after",
    [
        {"name": "The shop"},
        {"grant_types": ("client_credentials", "refresh_token", "password")},
        {"audiences": ("reports", "billing", "orders")},
        {"jwks": jwks(KEYS[2], KEYS[1], KEYS[0])},
    ],
)
def test_what_a_client_can_get(after: dict[str, object]) -> None:
    assert not loses(client(), client(**after))
    assert not loses(client(disabled=True), client(**after))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"id": "a b"}, "client id"),
        ({"id": "-shop"}, "client id"),
        ({"name": ""}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"grant_types": ()}, "grant types"),
        ({"grant_types": ("implicit",)}, "grant types"),
        ({"auth_method": "none", "jwks": None}, "proves nothing"),
        ({"auth_method": "client_secret_basic"}, "public keys"),
        ({"jwks": None}, "public keys"),
        ({"audiences": ("",)}, "audiences"),
        ({"audiences": ("a\x00",)}, "audiences"),
        ({"audiences": tuple(map(str, range(33)))}, "audiences"),
    ],
)
def test_what_cannot_be_a_client(wrong: dict[str, object], why: str) -> None:
    check_client(client())
    check_client(public_client("cli", 1.0))
    with pytest.raises(BadRequest, match=why):
        check_client(client(**wrong))
