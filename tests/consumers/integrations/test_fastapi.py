"""FastAPI: grants as dependencies, refusals as answers."""

import math
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from blockbuster import blockbuster_ctx
from fastapi import Depends, FastAPI, WebSocket
from starlette.types import Message

from ostraka_consumers import ConfigurationError, Grant, Verifier
from ostraka_consumers.integrations.fastapi import current_grant, install, requires
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.records import record_hash
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    verifier = await ready_verifier(issuer)
    yield verifier
    await verifier.stop()


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/orders")
    async def read(grant: Annotated[Grant, Depends(requires("orders:read"))]) -> dict[str, str]:
        return {"subject": grant.subject}

    @app.get("/both")
    async def both(grant: Annotated[Grant, Depends(requires("orders:read", "reports:read"))]) -> dict[str, str]:
        return {"subject": grant.subject}

    @app.get("/strict", dependencies=[Depends(requires("orders:read", max_staleness=15.0))])
    async def strict() -> None: ...

    @app.get("/lenient")
    async def lenient(
        grant: Annotated[Grant, Depends(requires("orders:read", max_staleness=15, grace="until_exp"))],
    ) -> dict[str, str]:
        return {"subject": grant.subject}

    @app.get("/me")
    def me(grant: Annotated[Grant, Depends(current_grant)]) -> dict[str, Any]:
        return {"subject": grant.subject, "permissions": grant.permissions}

    @app.get("/later")
    async def later(grant: Annotated[Grant, Depends(current_grant)]) -> None:
        grant.require("reports:read")

    @app.websocket("/live")
    async def live(websocket: WebSocket, grant: Annotated[Grant, Depends(requires("orders:read"))]) -> None:
        await websocket.accept()
        await websocket.send_text(grant.subject)
        await websocket.close()

    @app.websocket("/live/later")
    async def live_later(websocket: WebSocket, grant: Annotated[Grant, Depends(current_grant)]) -> None:
        await websocket.accept()
        grant.require("reports:read")

    return app


@pytest.fixture
async def client(verifier: Verifier) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app()
    install(app, verifier)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.example") as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_good_token_gives_its_grant(issuer: FakeIssuer, client: httpx.AsyncClient) -> None:
    token = issuer.token()
    with blockbuster_ctx():
        answer = await client.get("/orders", headers=bearer(token))
        mine = await client.get("/me", headers={"Authorization": f"bearer {token}"})
    assert (answer.status_code, answer.json()) == (200, {"subject": "alice"})
    assert mine.json() == {"subject": "alice", "permissions": ["orders:create", "orders:read"]}


@pytest.mark.parametrize(
    ("headers", "code", "challenge"),
    [
        ({}, "no_token", "Bearer"),
        ({"Authorization": "Basic YWxpY2U6c2VjcmV0"}, "no_token", "Bearer"),
        ({"Authorization": "Bearer"}, "malformed", 'Bearer error="invalid_token", error_description="malformed"'),
        ({"Authorization": "Bearer a.b.c"}, "malformed", 'Bearer error="invalid_token", error_description="malformed"'),
        ({"Authorization": "Bearer é"}, "malformed", 'Bearer error="invalid_token", error_description="malformed"'),
    ],
)
async def test_without_a_good_token_401(
    client: httpx.AsyncClient, headers: dict[str, str], code: str, challenge: str
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await client.get("/orders", headers=raw)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["code"] == code
    assert answer.json()["type"] == f"urn:ostraka:problem:{code}"


async def test_two_authorization_headers_are_refused_even_if_both_are_good(
    issuer: FakeIssuer, client: httpx.AsyncClient
) -> None:
    value = f"Bearer {issuer.token()}"
    answer = await client.get("/orders", headers=[("Authorization", value), ("Authorization", value)])
    assert (answer.status_code, answer.json()["code"]) == (401, "malformed")


REFUSED: dict[str, Callable[[FakeIssuer], str]] = {
    "wrong_audience": lambda issuer: issuer.token(aud=["reports"]),
    "wrong_issuer": lambda issuer: issuer.token(iss="https://other.example"),
    "expired": lambda issuer: issuer.token(iat=issuer.now - 50, nbf=issuer.now - 50, exp=issuer.now - 20),
    "bad_signature": lambda issuer: issuer.token()[:-8] + "AAAAAAAA",
}


@pytest.mark.parametrize("code", REFUSED)
async def test_a_refused_token_is_never_repeated(issuer: FakeIssuer, client: httpx.AsyncClient, code: str) -> None:
    token = REFUSED[code](issuer)
    answer = await client.get("/orders", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    everything = answer.text + str(answer.headers)
    assert not any(part in everything for part in token.split("."))


async def test_a_revoked_subject_401(issuer: FakeIssuer, client: httpx.AsyncClient, verifier: Verifier) -> None:
    token = issuer.token()
    assert (await client.get("/orders", headers=bearer(token))).status_code == 200
    verifier.deliver(issuer.cut_subject("alice"))
    answer = await client.get("/orders", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (401, "revoked")


@pytest.mark.parametrize("path", ["/both", "/later"])
async def test_a_good_token_for_something_else_403(issuer: FakeIssuer, client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="insufficient_scope"')


async def test_a_verifier_without_news_503(issuer: FakeIssuer, client: httpx.AsyncClient) -> None:
    token = issuer.token()
    issuer.clock.advance(30)
    assert (await client.get("/orders", headers=bearer(token))).status_code == 200
    strict = await client.get("/strict", headers=bearer(token))
    assert (strict.status_code, strict.json()["code"]) == (503, "stale")
    issuer.clock.advance(100)
    answer = await client.get("/orders", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (503, "stale")
    assert answer.headers["Retry-After"] == "5"
    assert "WWW-Authenticate" not in answer.headers


async def test_a_route_may_give_grace_until_the_token_ends(
    issuer: FakeIssuer, client: httpx.AsyncClient, verifier: Verifier
) -> None:
    token = issuer.token()
    assert (await client.get("/lenient", headers=bearer(token))).status_code == 200
    assert "token.grace" not in verifier.status.counters
    issuer.clock.advance(100)
    assert (await client.get("/lenient", headers=bearer(token))).json() == {"subject": "alice"}
    assert verifier.status.counters["token.grace"] == 1
    assert (await client.get("/orders", headers=bearer(token))).status_code == 503
    forbidden = await client.get("/lenient", headers=bearer(issuer.token(permissions=["orders:create"])))
    assert forbidden.status_code == 403
    issuer.clock.advance(200)
    ended = await client.get("/lenient", headers=bearer(token))
    assert (ended.status_code, ended.json()["code"]) == (401, "expired")


async def test_no_grace_while_the_feed_is_in_doubt(
    issuer: FakeIssuer, client: httpx.AsyncClient, verifier: Verifier
) -> None:
    token = issuer.token()
    prev = record_hash(issuer.records[-1])
    for record in (issuer.sign(IssuerCutoff(), seq=2, prev=prev), issuer.heartbeat()):
        verifier.deliver(record)
    assert verifier.core.doubted
    issuer.clock.advance(100)
    answer = await client.get("/lenient", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (503, "stale")


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_staleness": 0},
        {"max_staleness": -1},
        {"max_staleness": math.nan},
        {"max_staleness": "15"},
        {"grace": "ever"},
    ],
)
def test_a_bound_that_is_none_is_said_at_once(bounds: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        requires("orders:read", **bounds)


async def test_a_verifier_that_does_not_run_503(
    issuer: FakeIssuer, client: httpx.AsyncClient, verifier: Verifier
) -> None:
    await verifier.stop()
    answer = await client.get("/orders", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")


async def test_the_lifespan_may_bring_the_verifier(issuer: FakeIssuer, verifier: Verifier) -> None:
    app = make_app()
    install(app)
    app.state.verifier = verifier
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders.example") as client:
        assert (await client.get("/orders", headers=bearer(issuer.token()))).status_code == 200


async def test_without_a_verifier_nobody_passes(issuer: FakeIssuer) -> None:
    app = make_app()
    install(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders.example") as client:
        with pytest.raises(ConfigurationError, match="no verifier"):
            await client.get("/orders", headers=bearer(issuer.token()))


async def connect(app: FastAPI, token: str | None, *, path: str = "/live", denial: bool = False) -> list[Message]:
    """What the application sends to a WebSocket that connects and then only listens."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    scope = {
        "type": "websocket",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}} if denial else {},
    }
    await app(scope, receive, send)
    return sent


async def test_websockets_are_guarded_too(issuer: FakeIssuer, verifier: Verifier) -> None:
    app = make_app()
    install(app, verifier)
    accepted = await connect(app, issuer.token())
    assert [message["type"] for message in accepted] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert accepted[1]["text"] == "alice"
    assert await connect(app, None) == [{"type": "websocket.close", "code": 1008, "reason": "no_token"}]
    denial, _ = await connect(app, None, denial=True)
    assert (denial["type"], denial["status"]) == ("websocket.http.response.start", 401)
    later = await connect(app, issuer.token(), path="/live/later", denial=True)
    assert later[1:] == [{"type": "websocket.close", "code": 1008, "reason": "permission_denied"}]
    issuer.clock.advance(200)
    assert await connect(app, issuer.token()) == [{"type": "websocket.close", "code": 1013, "reason": "stale"}]


@pytest.mark.parametrize(
    "permissions", [(), ("",), ("orders",), ("orders:create", "x y:z"), (None,), (["orders:create"],)]
)
def test_a_requirement_that_is_none_is_a_mistake_at_once(permissions: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        requires(*permissions)


def test_openapi_shows_which_routes_need_a_token() -> None:
    schema = make_app().openapi()
    assert schema["paths"]["/orders"]["get"]["security"] == [{"Bearer": []}]
    assert schema["components"]["securitySchemes"]["Bearer"]["scheme"] == "bearer"
    assert "connection" not in str(schema["paths"]["/orders"])


def test_the_dependency_says_what_it_is() -> None:
    assert repr(requires("orders:read", "orders:create")) == "requires(orders:read and orders:create)"
    assert repr(current_grant) == "current_grant"
