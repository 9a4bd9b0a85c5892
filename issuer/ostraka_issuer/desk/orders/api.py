"""The web service: places orders and gives reports."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI

from ostraka_consumers.grant import Grant
from ostraka_consumers.integrations.fastapi import install, requires

from .settings import READY, OrdersSettings


def create_app(settings: OrdersSettings) -> FastAPI:
    """The service as an ASGI application."""
    verifier = settings.verifier()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with verifier:
            logging.getLogger("orders").warning(READY)
            yield

    app = FastAPI(title="Orders", lifespan=lifespan, docs_url=None, redoc_url=None)
    install(app, verifier)

    @app.post("/orders", status_code=201)
    async def place_order(order: dict[str, Any], grant: Annotated[Grant, Depends(requires("orders:create"))]) -> Any:
        return {"order": order.get("order"), "placed_by": grant.subject}

    @app.get("/orders")
    async def list_orders(grant: Annotated[Grant, Depends(requires("orders:read"))]) -> Any:
        return {"orders": [], "read_by": grant.subject}

    @app.get("/reports")
    async def report(grant: Annotated[Grant, Depends(requires("reports:read"))]) -> Any:
        return {"report": "all is well", "read_by": grant.subject}

    @app.get("/readyz")
    async def readyz() -> Any:
        status = verifier.status
        return {"ready": status.ready, "freshness": status.freshness.value}

    return app


if __name__ == "__main__":
    _settings = OrdersSettings.from_environment()
    logging.basicConfig(level=logging.WARNING)
    uvicorn.run(create_app(_settings), host="127.0.0.1", port=_settings.http_port, access_log=False, log_config=None)
