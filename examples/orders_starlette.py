"""A web service on Starlette that takes orders from whoever may create or import them.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_starlette.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ostraka_consumers import Grant, TrustAnchor, Verifier, any_of
from ostraka_consumers.integrations.starlette import install, requires
from ostraka_consumers.sources import KafkaSource

anchor = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"])
verifier = Verifier(anchor, audience="orders", sources=[KafkaSource(os.environ["OSTRAKA_KAFKA"])])


@requires(any_of("orders:create", "orders:import"))
async def create(request: Request, grant: Grant) -> JSONResponse:
    return JSONResponse({"order": await request.json(), "placed_by": grant.subject}, 201)


async def healthz(_request: Request) -> JSONResponse:
    return JSONResponse({"ready": verifier.status.ready})


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    async with verifier:  # goes on once tokens can be decided, or says why not
        yield


app = Starlette(routes=[Route("/orders", create, methods=["POST"]), Route("/healthz", healthz)], lifespan=lifespan)
install(app, verifier)

if __name__ == "__main__":
    host, port = os.environ.get("OSTRAKA_HTTP_HOST", "127.0.0.1"), int(os.environ.get("OSTRAKA_HTTP_PORT", "8403"))
    uvicorn.run(app, host=host, port=port)
