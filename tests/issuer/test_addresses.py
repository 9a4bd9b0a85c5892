"""Where a request comes from."""

from pathlib import Path

import pytest

from ostraka_issuer.errors import SetupError
from ostraka_issuer.http.addresses import forwarded
from ostraka_issuer.settings import load_settings
from tests.issuer.front import open_desk

PROXIES = ("10.0.0.0/8", "2001:db8:aaaa::/48")


@pytest.mark.parametrize(
    ("peer", "fields", "found"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, x"], "10.0.0.1"),
        ("10.0.0.1", ["", ","], "10.0.0.1"),
        ("2001:db8:aaaa::1", ["2001:DB8::9"], "2001:db8::9"),
        (None, ["203.0.113.9"], None),
        ("a socket", ["203.0.113.9"], "a socket"),
        ("10.0.0.1", [", ".join(["10.0.0.2"] * 10_000)], "10.0.0.2"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_it_is_read_from_the_right_past_known_proxies(peer: str | None, fields: list[str], found: str | None) -> None:
    assert forwarded(peer, fields, PROXIES) == found


def test_nobody_is_believed_by_default() -> None:
    assert load_settings().trusted_proxies == []
    assert forwarded("127.0.0.1", ["203.0.113.9"], []) == "127.0.0.1"


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33"])
def test_a_network_that_is_none_is_refused(networks: str) -> None:
    with pytest.raises(SetupError, match="trusted_proxies"):
        load_settings(trusted_proxies=networks)


async def test_a_login_through_a_known_proxy_is_throttled_by_the_callers_address(tmp_path: Path) -> None:
    async with open_desk(tmp_path, trusted_proxies="127.0.0.1/32") as desk:

        async def attempt(address: str, username: str) -> int:
            body = {"username": username, "password": "wrong password"}
            answer = await desk.client.post("/login", json=body, headers={"x-forwarded-for": address})
            return answer.status_code

        for number in range(101):
            assert await attempt("203.0.113.9", f"user-{number}") == 401
        assert await attempt("203.0.113.9", "another") == 429
        assert await attempt("203.0.113.10", "another") == 401


async def test_without_a_known_proxy_the_header_changes_nothing(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        for number in range(101):
            body = {"username": f"user-{number}", "password": "wrong password"}
            headers = {"x-forwarded-for": f"203.0.113.{number}"}
            assert (await desk.client.post("/login", json=body, headers=headers)).status_code == 401
        elsewhere = {"x-forwarded-for": "198.51.100.7"}
        answer = await desk.client.post("/login", json={"username": "x", "password": "y"}, headers=elsewhere)
        assert answer.status_code == 429
        assert answer.json()["code"] == "login_throttled"
        assert int(answer.headers["retry-after"]) >= 1
