"""A web service that hears of cut-offs over Kafka and over HTTP, and keeps what it knows on disk.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 OSTRAKA_ISSUER=https://id.example OSTRAKA_STATE=state
python orders_two_channels.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI

from ostraka_consumers import Grant, TrustAnchor, Verifier
from ostraka_consumers.integrations.fastapi import install, requires
from ostraka_consumers.sources import HttpSource, KafkaSource

verifier = Verifier(
    TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"]),
    audience="orders",
    sources=[KafkaSource(os.environ["OSTRAKA_KAFKA"]), HttpSource(os.environ["OSTRAKA_ISSUER"])],
    state_directory=os.environ["OSTRAKA_STATE"],
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with verifier:
        yield


app = FastAPI(lifespan=lifespan)
install(app, verifier)


@app.post("/orders", status_code=201)
async def create(
    order: dict[str, int], grant: Annotated[Grant, Depends(requires("orders:create", max_staleness=20))]
) -> object:
    return {"order": order, "placed_by": grant.subject}


@app.get("/orders")
async def read(grant: Annotated[Grant, Depends(requires("orders:read", grace="until_exp"))]) -> object:
    return {"orders": [], "of": grant.subject}


@app.get("/healthz")
async def healthz() -> dict[str, object]:
    status = verifier.status
    return {"ready": status.ready, "freshness": status.freshness, "alarms": status.alarms}


if __name__ == "__main__":
    host, port = os.environ.get("OSTRAKA_HTTP_HOST", "127.0.0.1"), int(os.environ.get("OSTRAKA_HTTP_PORT", "8401"))
    uvicorn.run(app, host=host, port=port)
