"""The web frameworks: the same small service in each of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import litestar
import litestar.response
from fastapi import Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from litestar.di import NamedDependency
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from ostraka_consumers import Grant, TokenVerifier
from ostraka_consumers.integrations import asgi, fastapi, starlette
from ostraka_consumers.integrations import litestar as for_litestar
from ostraka_consumers.integrations._http import App, Receive, Scope, Send

from .connection import connected
from .driver import Call, Driver, Headers, Parts, Said

MakeApp = Callable[[TokenVerifier, Parts], App]


async def endless() -> AsyncIterator[bytes]:
    """A first part, and then nothing, for as long as anybody listens."""
    yield b"data: first\n\n"
    await asyncio.Event().wait()


def plain_asgi(verifier: TokenVerifier, parts: Parts) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        grant = asgi.grant_of(scope)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": grant.subject})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        kinds = {"/events": b"text/event-stream", "/download": b"application/octet-stream"}
        kind = kinds.get(scope["path"], b"application/json")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        if scope["path"] in kinds:
            async for part in endless():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": json.dumps({"subject": grant.subject}).encode()})

    return asgi.OstrakaMiddleware(app, verifier, requires=parts)


def with_starlette(verifier: TokenVerifier, parts: Parts) -> App:
    def guarded(endpoint: Any) -> Any:
        if parts is not None:
            return starlette.requires(*parts)(endpoint)

        async def any_good_token(connection: HTTPConnection) -> Any:
            return await endpoint(connection, starlette.current_grant(connection))

        return any_good_token

    async def orders(_request: Request, grant: Grant) -> Response:
        return JSONResponse({"subject": grant.subject})

    async def events(_request: Request, _grant: Grant) -> Response:
        return StreamingResponse(endless(), media_type="text/event-stream")

    async def download(_request: Request, _grant: Grant) -> Response:
        return StreamingResponse(endless(), media_type="application/octet-stream")

    async def live(websocket: WebSocket, grant: Grant) -> None:
        await _live(websocket, grant)

    routes = [Route(f"/{each.__name__}", guarded(each)) for each in (orders, events, download)]
    app = Starlette(routes=[*routes, WebSocketRoute("/live", guarded(live))])
    starlette.install(app, verifier)
    return app


def with_fastapi(verifier: TokenVerifier, parts: Parts) -> App:
    app = FastAPI()
    fastapi.install(app, verifier)
    asked = fastapi.current_grant if parts is None else fastapi.requires(*parts)

    @app.get("/orders")
    async def orders(grant: Annotated[Grant, Depends(asked)]) -> dict[str, str]:
        return {"subject": grant.subject}

    @app.get("/events", dependencies=[Depends(asked)])
    async def events() -> StreamingResponse:
        return StreamingResponse(endless(), media_type="text/event-stream")

    @app.get("/download", dependencies=[Depends(asked)])
    async def download() -> StreamingResponse:
        return StreamingResponse(endless(), media_type="application/octet-stream")

    @app.websocket("/live")
    async def live(websocket: WebSocket, grant: Annotated[Grant, Depends(asked)]) -> None:
        await _live(websocket, grant)

    return app


def with_litestar(verifier: TokenVerifier, parts: Parts) -> App:
    asked = for_litestar.current_grant() if parts is None else for_litestar.requires(*parts)
    needs = {"grant": asked}

    @litestar.get("/orders", dependencies=needs)
    async def orders(grant: NamedDependency[Grant]) -> dict[str, str]:
        return {"subject": grant.subject}

    @litestar.get("/events", dependencies=needs)
    async def events(grant: NamedDependency[Grant]) -> litestar.response.Stream:
        return litestar.response.Stream(endless(), media_type="text/event-stream")

    @litestar.get("/download", dependencies=needs)
    async def download(grant: NamedDependency[Grant]) -> litestar.response.Stream:
        return litestar.response.Stream(endless(), media_type="application/octet-stream")

    @litestar.websocket("/live", dependencies=needs)
    async def live(socket: litestar.WebSocket[Any, Any, Any], grant: NamedDependency[Grant]) -> None:
        await socket.accept()
        await socket.send_text(grant.subject)
        await socket.receive_text()

    app: Any = litestar.Litestar(
        [orders, events, download, live], plugins=[for_litestar.OstrakaPlugin(verifier)], openapi_config=None
    )
    return app  # type: ignore[no-any-return]


async def _live(websocket: WebSocket, grant: NamedDependency[Grant]) -> None:
    await websocket.accept()
    await websocket.send_text(grant.subject)
    async for _ in websocket.iter_text():
        pass


APPS: dict[str, MakeApp] = {
    "asgi": plain_asgi,
    "starlette": with_starlette,
    "fastapi": with_fastapi,
    "litestar": with_litestar,
}


def raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value) for name, value in headers]


def http(name: str) -> Driver:
    """Requests to the service."""

    @asynccontextmanager
    async def serve(verifier: TokenVerifier, parts: Parts) -> AsyncIterator[Call]:
        app = APPS[name](verifier, parts)

        async def call(headers: Headers) -> Said:
            async with connected(app, "/orders", raw(headers)) as connection:
                await connection.until_over()
            body = json.loads(connection.body)
            if connection.sent[0]["status"] == 200:
                return Said(subject=body["subject"])
            return Said(code=body["code"], text=repr(connection.sent))

        yield call

    return Driver(f"{name}-http", serve)


def websocket(name: str, *, denial: bool) -> Driver:
    """WebSockets to the service, through a server that can or cannot answer a handshake."""

    @asynccontextmanager
    async def serve(verifier: TokenVerifier, parts: Parts) -> AsyncIterator[Call]:
        app = APPS[name](verifier, parts)

        async def call(headers: Headers) -> Said:
            async with connected(app, "/live", raw(headers), websocket=True, denial=denial) as connection:
                await connection.until_sent(1)
                if connection.sent[0]["type"] == "websocket.accept":
                    await connection.until_sent(2)
            first, *rest = connection.sent
            if first["type"] == "websocket.accept":
                return Said(subject=rest[0]["text"])
            if first["type"] == "websocket.close":
                assert first["code"] == (1013 if first["reason"] in ("stale", "not_ready") else 1008)
                return Said(code=first["reason"], text=repr(connection.sent))
            return Said(code=json.loads(connection.body)["code"], text=repr(connection.sent))

        yield call

    return Driver(f"{name}-websocket{'-with-answers' if denial else ''}", serve)


WEB = [
    *(http(name) for name in APPS),
    *(websocket(name, denial=False) for name in APPS),
    *(websocket(name, denial=True) for name in APPS if name != "litestar"),
]
