"""``ostraka serve``: run the issuer."""

import asyncio
import contextlib
import logging
import socket
from typing import Annotated

import typer

from ostraka_issuer.errors import IssuerError, StoreUnavailable
from ostraka_issuer.http.app import create_app
from ostraka_issuer.http.server import Server, end_in_order, listen
from ostraka_issuer.keys.dumps import forbid_core_dumps
from ostraka_issuer.last_resort import LastResort
from ostraka_issuer.observability.logs import configure_logging
from ostraka_issuer.observability.telemetry import Traces, exported_traces
from ostraka_issuer.runtime import Issuer
from ostraka_issuer.settings import IssuerSettings, LogFormat, LogLevel, Role
from ostraka_issuer.usable import load_usable

from . import checks
from .guard import CommandError, guarded
from .options import HOME_DEFAULT, HomePath

logger = logging.getLogger(__name__)

_LOOK = 0.5
"""Seconds between two looks at whether the feed is published."""


@guarded
def serve(
    home: HomePath = HOME_DEFAULT,
    kafka: Annotated[
        str | None,
        typer.Option(
            "--kafka",
            metavar="HOST:PORT",
            callback=checks.kafka,
            help="Kafka to publish the feed on. [default: 127.0.0.1:9092]",
        ),
    ] = None,
    role: Annotated[
        Role | None,
        typer.Option(
            "--role",
            help="api: HTTP without the feed key. feed: the feed alone. all: both. [default: all]",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Where to listen. [default: 127.0.0.1]"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65_535, help="Port to listen on. [default: 8400]"),
    ] = None,
    log_level: Annotated[
        LogLevel | None,
        typer.Option("--log-level", help="The least that is logged. [default: info]"),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            "--log-format",
            help="json: one object a line. console: for people. auto: console on a terminal. [default: auto]",
        ),
    ] = None,
) -> None:
    """Run the issuer: HTTP and the feed. It needs no broker to start; publishing catches up when there is one.

    Several processes may share one database: one of them writes the feed, another takes over if it ends.

    Options have variables, too: OSTRAKA_KAFKA, _ROLE, _HTTP_HOST, _HTTP_PORT, _LOG_LEVEL, _LOG_FORMAT. Everything else
    is set by variables OSTRAKA_…, or in a file (--config): `ostraka config show` lists all of it.

    TLS and SASL towards Kafka: OSTRAKA_KAFKA_TLS, _CA_FILE, _CERT_FILE, _KEY_FILE, _USERNAME, _PASSWORD_FILE (or
    _PASSWORD) and _MECHANISM, each after OSTRAKA_KAFKA. `ostraka watch` and `ostraka verify` read the same ones.

    Examples:

        ostraka serve --kafka kafka:9092

        ostraka serve --config /etc/ostraka/ostraka.toml

        OSTRAKA_HOME=/var/lib/ostraka OSTRAKA_KAFKA=kafka:9092 ostraka serve --host 0.0.0.0
    """
    forbid_core_dumps()
    settings = load_usable(
        home=home, kafka=kafka, role=role, http_host=host, http_port=port, log_level=log_level, log_format=log_format
    )
    configure_logging(settings.log_level, settings.log_format)
    last_resort = LastResort()
    try:
        asyncio.run(_run(settings, last_resort))
    finally:
        last_resort.cancel()


async def _run(settings: IssuerSettings, last_resort: LastResort) -> None:
    async with exported_traces() as traces:
        await _serve(settings, traces, last_resort)


async def _serve(settings: IssuerSettings, traces: Traces | None, last_resort: LastResort) -> None:
    reasons: list[IssuerError] = []

    def ended(error: IssuerError) -> None:
        reasons.append(error)
        server.should_exit = True

    def ending() -> None:
        last_resort.begin()
        app.state.issuer.feed.channel.close()

    app = create_app(settings, ended=ended, traces=traces)
    # The lifespan is entered here and not by the server, which would print a traceback and keep the reason to itself.
    server = Server(app, ending=ending)
    with _listen(settings.http_host, settings.http_port) as listener:
        async with app.router.lifespan_context(app):
            end_in_order(server)
            logger.info("the issuer listens on http://%s:%d", settings.http_host, settings.http_port)
            publishing = asyncio.create_task(_tell_when_it_publishes(app.state.issuer), name="ostraka feed publishing")
            try:
                await server.serve(sockets=[listener])
            finally:
                publishing.cancel()
                await asyncio.gather(publishing, return_exceptions=True)
    if reasons:
        raise reasons[0]


async def _tell_when_it_publishes(issuer: Issuer) -> None:
    """Say it whenever it begins, and where; that it cannot is said by the feed itself."""
    said = False
    while issuer.settings.role != "api":
        # A database that does not answer is no concern of this line.
        with contextlib.suppress(StoreUnavailable):
            publishing = (await issuer.feed.state()).publishing == "publishing"
            if publishing and not said:
                logger.info("publishing the feed on %s, topic %s", issuer.settings.kafka, issuer.settings.feed_topic)
            said = publishing
        await asyncio.sleep(_LOOK)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}") from error
