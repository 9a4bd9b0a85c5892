"""A web service that takes orders from whoever may create them.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_api.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI

from ostraka_consumers import Grant, TrustAnchor, Verifier
from ostraka_consumers.integrations.fastapi import install, requires
from ostraka_consumers.sources import KafkaSource

anchor = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"])
verifier = Verifier(anchor, audience="orders", sources=[KafkaSource(os.environ["OSTRAKA_KAFKA"])])


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with verifier:  # goes on once tokens can be decided, or says why not
        yield


app = FastAPI(lifespan=lifespan)
install(app, verifier)


@app.post("/orders", status_code=201)
async def create(order: dict[str, int], grant: Annotated[Grant, Depends(requires("orders:create"))]) -> object:
    return {"order": order, "placed_by": grant.subject}


@app.get("/healthz")
async def healthz() -> dict[str, bool]:
    return {"ready": verifier.status.ready}


if __name__ == "__main__":
    host, port = os.environ.get("OSTRAKA_HTTP_HOST", "127.0.0.1"), int(os.environ.get("OSTRAKA_HTTP_PORT", "8401"))
    uvicorn.run(app, host=host, port=port)
