"""Every integration lets the same people through, and refuses the others for the same reasons."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from ostraka_consumers import ConfigurationError, all_of, any_of
from ostraka_schemas.jwk import SigningKey
from tests.support.fake_issuer import FakeIssuer, published

from .driver import Driver, Headers, Said, Stand
from .everybody import DRIVERS

pytestmark = pytest.mark.parametrize("driver", DRIVERS, ids=str)


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(driver: Driver, issuer: FakeIssuer) -> AsyncIterator[Stand]:
    async with driver.stand(issuer) as stand:
        yield stand


@pytest.fixture(autouse=True)
def nothing_blocks(driver: Driver) -> Iterator[None]:
    with blockbuster_ctx("ostraka_consumers") if driver.on_a_loop else nullcontext():
        yield


def bearer(token: str) -> Headers:
    return [("authorization", f"Bearer {token}".encode())]


async def ask(driver: Driver, verifier: Stand, headers: Headers, *parts: Any) -> Said:
    async with driver.serve(verifier, parts or None) as call:
        return await call(headers)


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_good_token(driver: Driver, issuer: FakeIssuer, verifier: Stand, scheme: str, name: str) -> None:
    headers = [(name, f"{scheme} {issuer.token(sub='bob')}".encode())]
    assert await ask(driver, verifier, headers) == Said(subject="bob")
    assert await ask(driver, verifier, headers, "orders:create") == Said(subject="bob")


@dataclass(frozen=True)
class Refused:
    """A token that is refused, and what happens after it was minted."""

    token: Callable[[FakeIssuer], str]
    then: Callable[[FakeIssuer], list[bytes]] = lambda issuer: []


def _old(issuer: FakeIssuer) -> str:
    return issuer.token(iat=issuer.now - 50, nbf=issuer.now - 50, exp=issuer.now - 20)


def _early(issuer: FakeIssuer) -> str:
    return issuer.token(iat=issuer.now + 60, nbf=issuer.now + 60, exp=issuer.now + 120)


def _compromise(issuer: FakeIssuer) -> list[bytes]:
    return [issuer.publish_keys(published(issuer.token_key, now=issuer.now, state="compromised"))]


REFUSED: dict[str, tuple[str, Refused]] = {
    "not a token": ("malformed", Refused(lambda issuer: "a.b.c")),
    "nothing": ("malformed", Refused(lambda issuer: "")),
    "no text": ("malformed", Refused(lambda issuer: "\x80.\xff.€")),
    "padded": ("malformed", Refused(lambda issuer: issuer.token() + "=")),
    "too long": ("malformed", Refused(lambda issuer: issuer.token() + "A" * 9_000)),
    "unknown key": ("unknown_key", Refused(lambda issuer: issuer.token(key=SigningKey.generate("ES256")))),
    "compromised key": ("key_compromised", Refused(lambda issuer: issuer.token(), _compromise)),
    "bad signature": ("bad_signature", Refused(lambda issuer: issuer.token()[:-8] + "AAAAAAAA")),
    "wrong issuer": ("wrong_issuer", Refused(lambda issuer: issuer.token(iss="https://other.example"))),
    "wrong audience": ("wrong_audience", Refused(lambda issuer: issuer.token(aud=["reports"]))),
    "expired": ("expired", Refused(_old)),
    "not yet valid": ("not_yet_valid", Refused(_early)),
    "subject cut off": (
        "revoked",
        Refused(lambda issuer: issuer.token(), lambda issuer: [issuer.cut_subject("alice")]),
    ),
    "client cut off": ("revoked", Refused(lambda issuer: issuer.token(), lambda issuer: [issuer.cut_client("web")])),
    "all cut off": ("revoked", Refused(lambda issuer: issuer.token(), lambda issuer: [issuer.cut_everyone()])),
    "session cut off": (
        "revoked",
        Refused(lambda issuer: issuer.token(sid="s"), lambda issuer: [issuer.cut_session("alice", "s")]),
    ),
    "token revoked": (
        "revoked",
        Refused(lambda issuer: issuer.token(jti="j"), lambda issuer: [issuer.revoke_token("j", issuer.now + 300)]),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_token(driver: Driver, issuer: FakeIssuer, verifier: Stand, case: str) -> None:
    code, refused = REFUSED[case]
    token = refused.token(issuer)
    for record in refused.then(issuer):
        verifier.deliver(record)
    said = await ask(driver, verifier, bearer(token), "orders:create")
    assert (said.subject, said.code) == (None, code)
    assert not any(part in said.text for part in token.split(".") if len(part) > 8)


async def test_no_token(driver: Driver, verifier: Stand) -> None:
    for parts in ((), ("orders:create",)):
        said = await ask(driver, verifier, [("x-authorization", b"Bearer x")], *parts)
        assert (said.subject, said.code) == (None, "no_token")


async def test_two_tokens(driver: Driver, issuer: FakeIssuer, verifier: Stand) -> None:
    said = await ask(driver, verifier, [*bearer(issuer.token()), *bearer(issuer.token())])
    assert (said.subject, said.code) == (None, "malformed")


@pytest.mark.parametrize("value", [b"Basic YWxpY2U6c2VjcmV0", b"BearerX", b"", b"Token \xff\xfe"])
async def test_another_scheme(driver: Driver, verifier: Stand, value: bytes) -> None:
    said = await ask(driver, verifier, [("authorization", value)])
    assert (said.subject, said.code) == (None, driver.other_scheme)


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"Bearer a b", b"Bearer \x00", b"Bearer " + b"." * 7_000])
async def test_hostile_values(driver: Driver, verifier: Stand, value: bytes) -> None:
    said = await ask(driver, verifier, [("authorization", value)])
    assert (said.subject, said.code) == (None, "malformed")


async def test_hostile_headers_beside_a_good_token(driver: Driver, issuer: FakeIssuer, verifier: Stand) -> None:
    hostile = [("x-odd", b"\xff\xfe\x00"), ("reply_to", b"ostraka.feed"), ("x-odd", b""), ("correlation_id", b"\xff")]
    assert await ask(driver, verifier, [*hostile, *bearer(issuer.token())]) == Said(subject="alice")


GRANTED = ["orders:read", "orders:create", "reports:*"]


@pytest.mark.parametrize(
    ("parts", "passes"),
    [
        (["orders:create"], True),
        (["orders:create", "orders:read"], True),
        (["orders:create", "orders:approve"], False),
        ([any_of("orders:approve", "orders:create")], True),
        ([any_of("orders:approve", "users:read")], False),
        ([all_of("orders:create", "orders:approve")], False),
        (["orders:read", any_of("orders:approve", all_of("orders:create", "reports:read"))], True),
        (["reports:read"], True),
        (["reports:*"], True),
        (["orders:*"], False),
    ],
    ids=lambda value: " and ".join(map(str, value)) if isinstance(value, list) else None,
)
async def test_permissions(driver: Driver, issuer: FakeIssuer, verifier: Stand, parts: list[Any], passes: bool) -> None:
    said = await ask(driver, verifier, bearer(issuer.token(permissions=GRANTED)), *parts)
    assert (said.subject, said.code) == (("alice", None) if passes else (None, "permission_denied"))


async def test_a_permission_taken_away(driver: Driver, issuer: FakeIssuer, verifier: Stand) -> None:
    token = issuer.token()
    async with driver.serve(verifier, ["orders:create"]) as call:
        assert await call(bearer(token)) == Said(subject="alice")
        verifier.deliver(issuer.keep_only("alice", "orders:read"))
        assert (await call(bearer(token))).code == "permission_denied"


async def test_a_token_revoked_meanwhile(driver: Driver, issuer: FakeIssuer, verifier: Stand) -> None:
    token = issuer.token()
    async with driver.serve(verifier, None) as call:
        assert await call(bearer(token)) == Said(subject="alice")
        verifier.deliver(issuer.cut_subject("alice"))
        said = await call(bearer(token))
        assert (said.subject, said.code) == (None, "revoked")
        assert await call(bearer(issuer.token())) == Said(subject="alice")


@pytest.mark.parametrize("parts", [[], [""], ["orders"], [None], ["orders:create", 1]])
async def test_an_empty_requirement_is_a_mistake_at_once(driver: Driver, verifier: Stand, parts: list[Any]) -> None:
    with pytest.raises(ConfigurationError):
        await driver.serve(verifier, parts).__aenter__()


async def test_without_news(driver: Driver, issuer: FakeIssuer, verifier: Stand) -> None:
    token = issuer.token()
    async with driver.serve(verifier, None) as call:
        issuer.clock.advance(100)
        said = await call(bearer(token))
        assert (said.subject, said.code) == (None, "waits" if driver.waits else "stale")
        verifier.deliver(issuer.heartbeat())
        assert await call(bearer(token)) == Said(subject="alice")


async def test_a_verifier_that_does_not_run(driver: Driver, issuer: FakeIssuer, verifier: Stand) -> None:
    async with driver.serve(verifier, None) as call:
        await verifier.stop()
        said = await call(bearer(issuer.token()))
        assert (said.subject, said.code) == (None, "waits" if driver.waits else "not_ready")
