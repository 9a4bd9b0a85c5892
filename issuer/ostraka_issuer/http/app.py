"""The web application. It runs an issuer from its start to its end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from ostraka_consumers.clock import Clock
from ostraka_consumers.integrations import fastapi as guard
from ostraka_issuer.errors import IssuerError
from ostraka_issuer.limits import FEED_READERS_MAX, SNAPSHOT_READERS_MAX
from ostraka_issuer.observability.app import ObservedApp
from ostraka_issuer.observability.metrics import Metrics
from ostraka_issuer.observability.telemetry import Traces, told_to
from ostraka_issuer.runtime import Issuer, open_issuer
from ostraka_issuer.settings import IssuerSettings

from . import (
    admin_accounts,
    admin_keys,
    admin_revocations,
    feed,
    feed_documents,
    health,
    introspect,
    login,
    metrics,
    problems,
    revoke,
    token,
    wellknown,
)
from .bounds import BodyBound
from .direct import DirectDoors
from .feed_answers import Answers
from .seats import Seats
from .server import connections_allowed
from .under_way import InTime, UnderWay

_log = logging.getLogger("ostraka.issuer")

FEED_DOORS: Final = (health.router, metrics.router, feed.router, feed_documents.router)
"""Doors of every process."""

API_DOORS: Final = (
    login.router,
    token.router,
    revoke.router,
    introspect.router,
    admin_revocations.router,
    admin_keys.router,
    *admin_accounts.ROUTERS,
    wellknown.router,
)
"""Doors that a process with the role ``feed`` does not have."""


def create_app(
    settings: IssuerSettings,
    *,
    clock: Clock | None = None,
    ended: Callable[[IssuerError], None] | None = None,
    traces: Traces | None = None,
) -> FastAPI:
    """The issuer as an ASGI application; ``app.state.issuer`` is the running ``Issuer``.

    Args:
        ended: called if the feed ends by itself, with the reason. Whoever serves should stop then.
        traces: where spans go, if anywhere.

    Starting raises what ``open_issuer`` raises.
    """

    counted = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_issuer(settings, clock=clock, happenings=told_to(counted, traces)) as issuer:
            app.state.issuer = issuer
            counted.watch(issuer.verifier)
            app.state.verifier = issuer.verifier
            watch = asyncio.create_task(_watch(issuer, ended), name="ostraka feed watch")
            try:
                yield
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)

    app = ObservedApp(
        title="Ostraka",
        summary="Signs short-lived tokens and cuts them off",
        version="1",
        lifespan=lifespan,
        # Both pages load code from elsewhere.
        docs_url=None,
        redoc_url=None,
        # They would lead to wherever the request's Host header says.
        redirect_slashes=False,
    )
    app.state.readers = Seats(min(FEED_READERS_MAX, connections_allowed() * 3 // 4))
    app.state.answers = Answers()
    app.state.metrics = counted
    app.request_ended = counted.request
    if traces is not None:
        app.around_request = traces.around
    app.state.snapshot_readers = Seats(SNAPSHOT_READERS_MAX)
    guard.install(app)
    problems.install(app)
    # What is added later comes first.
    if settings.role != "feed":
        app.add_middleware(DirectDoors, routers=(token.router, introspect.router))
    app.add_middleware(BodyBound)
    app.state.under_way = UnderWay()
    app.add_middleware(InTime, under_way=app.state.under_way)
    for router in FEED_DOORS if settings.role == "feed" else (*FEED_DOORS, *API_DOORS):
        app.include_router(router, responses=problems.ANSWERS)
    return app


async def _watch(issuer: Issuer, ended: Callable[[IssuerError], None] | None) -> None:
    try:
        await issuer.feed.wait()
    except IssuerError as error:
        if ended is None:
            _log.critical("the feed has ended: %s", error)
        else:
            ended(error)  # Who says it.
