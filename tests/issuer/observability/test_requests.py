"""Request ids and the line about each request, around an application of three routes."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from ostraka_issuer.errors import NotFound
from ostraka_issuer.http import problems
from ostraka_issuer.http.bounds import BodyBound
from ostraka_issuer.observability.app import ObservedApp
from ostraka_issuer.observability.logs import make_formatter
from ostraka_issuer.observability.request_ids import HEADER, current_request_id
from ostraka_issuer.observability.requests import Request

ACCESS = "ostraka.access"


class Seen(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []
        self.setFormatter(make_formatter("json"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))


@pytest.fixture
def app() -> FastAPI:
    app = ObservedApp()
    app.add_middleware(BodyBound, max_bytes=100)
    problems.install(app)

    @app.get("/things/{name}")
    async def thing(name: str) -> dict[str, Any]:
        logging.getLogger("somebody").warning("working")
        if name == "none":
            raise NotFound("there is no such thing")
        if name == "broken":
            raise RuntimeError("a bug")
        return {"bound": structlog.contextvars.get_contextvars(), "current": current_request_id()}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    # An exception that left the application would be raised here.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client


@pytest.fixture
def seen() -> Any:
    handler, root = Seen(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def access(seen: Seen) -> logging.LogRecord:
    (line,) = [record for record in seen.records if record.name == ACCESS and hasattr(record, "route")]
    return line


async def test_a_harmless_id_is_taken_and_given_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/a", headers={HEADER: "gateway-17.A_b"})
    assert answer.headers.get_list(HEADER) == ["gateway-17.A_b"]
    assert answer.json() == {"bound": {"request_id": "gateway-17.A_b"}, "current": "gateway-17.A_b"}


@pytest.mark.parametrize(
    "given", ["", " ", "a b", 'a"b', "-a", "x" * 65, "ä".encode().decode("latin-1"), "a;b", "a\tb"]
)
async def test_anything_else_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/things/a", headers=[(HEADER.encode(), given.encode("latin-1"))])
    (made,) = answer.headers.get_list(HEADER)
    assert made != given
    assert len(made) == 16
    assert answer.json()["current"] == made


async def test_two_are_none(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/a", headers=[(HEADER, "one"), (HEADER, "two")])
    assert answer.headers[HEADER] not in ("one", "two")


async def test_every_request_has_one_of_its_own_and_nothing_is_left(client: httpx.AsyncClient) -> None:
    names = {(await client.get("/things/a")).headers[HEADER] for _ in range(10)}
    assert len(names) == 10
    assert current_request_id() is None
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize(
    ("path", "status"), [("/things/none", 404), ("/nowhere", 404), ("/things/broken", 500), ("/things/a", 413)]
)
async def test_a_problem_names_its_request(client: httpx.AsyncClient, path: str, status: int) -> None:
    content = b"x" * 101 if status == 413 else b""
    answer = await client.request("GET", path, headers={HEADER: "r-1"}, content=content)
    assert answer.status_code == status
    assert answer.json()["request_id"] == answer.headers[HEADER] == "r-1"


async def test_every_line_of_a_request_names_it(client: httpx.AsyncClient, seen: Seen) -> None:
    await client.get("/things/a", headers={HEADER: "r-1"})
    ours = [line for line in seen.lines if '"somebody"' in line or f'"{ACCESS}"' in line]
    assert len(ours) == 2
    assert all('"request_id": "r-1"' in line for line in ours)


async def test_one_line_tells_route_status_and_time_but_not_what_was_asked_for(
    client: httpx.AsyncClient, seen: Seen
) -> None:
    await client.get("/things/alice?token=s3cret", headers={"authorization": "Bearer s3cret"})
    line = access(seen)
    assert line.getMessage() == "GET /things/{name} 200"
    assert line.levelno == logging.INFO
    assert (vars(line)["method"], vars(line)["route"], vars(line)["status"]) == ("GET", "/things/{name}", 200)
    assert vars(line)["seconds"] >= 0
    ours = [text for record, text in zip(seen.records, seen.lines, strict=True) if record.name != "httpx"]
    assert not [text for text in ours if "s3cret" in text or "alice" in text]


async def test_what_has_no_route_and_odd_methods_have_one_name_for_all(client: httpx.AsyncClient, seen: Seen) -> None:
    await client.request("BREW", "/coffee/of/alice")
    line = access(seen)
    assert (vars(line)["method"], vars(line)["route"], vars(line)["status"]) == ("other", "unmatched", 404)


async def test_probes_are_not_in_the_way(client: httpx.AsyncClient, seen: Seen) -> None:
    await client.get("/healthz")
    assert access(seen).levelno == logging.DEBUG


async def test_a_bug_is_logged_once_with_its_traceback_and_its_request(client: httpx.AsyncClient, seen: Seen) -> None:
    answer = await client.get("/things/broken", headers={HEADER: "r-1"})
    assert answer.status_code == 500
    (line,) = [text for text in seen.lines if "RuntimeError" in text]
    assert '"request_id": "r-1"' in line
    assert "a bug" not in answer.text
    assert vars(access(seen))["status"] == 500


async def test_whoever_goes_away_is_told_of_too() -> None:
    ended: list[Request] = []
    app = ObservedApp()
    app.request_ended = ended.append

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        raise OSError("the client has gone")

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b"", "app": app}
    with pytest.raises(OSError, match="gone"):
        await app(scope, receive, send)
    (request,) = ended
    assert (request.status, request.answered) == (404, False)
