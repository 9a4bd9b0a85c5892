"""The whole system on one machine: a broker, the issuer and two services, each a process of its own."""

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.home import Home
from ostraka_issuer.limits import PAGE_MAX
from ostraka_issuer.provision import create_home
from ostraka_issuer.settings import IssuerSettings, load_settings
from ostraka_schemas.topics import FEED_TOPIC, REJECTED_SUFFIX, snapshots_topic

from .embedded import EmbeddedBroker
from .errors import DeskError
from .orders.settings import READY, OrdersSettings
from .people import People
from .ports import LOCALHOST, find_free_port
from .service import Service, stop_all
from .topics import create_topics, delete_topics

EMBEDDED_FETCH_WAIT_MS: Final = 10
"""The embedded broker looks for news twice in this time; see library notes in the source of the feed."""

KAFKA_FETCH_WAIT_MS: Final = 500
ANSWER_SECONDS: Final = 2.0
LISTENS: Final = "the issuer listens on"
"""What `ostraka serve` says when it does."""


@dataclass(frozen=True, slots=True)
class DeskUser:
    """A user that a new home is given."""

    name: str
    permissions: tuple[str, ...]


USERS: Final = (
    DeskUser("alice", ("orders:create", "orders:read", "reports:read")),
    DeskUser("bob", ("orders:*", "reports:read")),
    DeskUser("operator", ("revocations:*", "keys:*")),
)


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How a stack is to be.

    Attributes:
        directory: for logs, and for the home if none is given.
        home: the issuer's home; made if it is not there.
        kafka: bootstrap servers of a real Kafka; ``None`` for the embedded broker.
        topics: what the names of all topics begin with; lets several stacks share a Kafka.
        issuer_port, api_port: where to listen; ``None`` for free ports.
        password: of the users of a new home.
    """

    directory: Path
    home: Path | None = None
    kafka: str | None = None
    topics: str = ""
    issuer_port: int | None = None
    api_port: int | None = None
    password: str = "ostraka-desk"  # noqa: S105 - the desk's; a home made by `ostraka init` has its own


Progress = Callable[[str], None]


def _silent(_what: str) -> None:
    """Nobody listens."""


class Stack:
    """Starts everything in order and ends everything, whatever happened. Use as an async context manager.

    Args:
        progress: told what is being started.
    """

    def __init__(self, options: StackOptions, progress: Progress = _silent) -> None:
        self.options: Final = options
        self.home: Final = Home(options.home or options.directory / "home")
        self.broker: Final = None if options.kafka else EmbeddedBroker(log_file=options.directory / "broker.log")
        self.issuer_url: Final = (
            _issuer_of(self.home) or f"http://{LOCALHOST}:{options.issuer_port or find_free_port()}"
        )
        self.issuer_port: Final = port_of(self.issuer_url)
        self.api_port: Final = options.api_port or find_free_port()
        self.api_url: Final = f"http://{LOCALHOST}:{self.api_port}"
        self.made_home = False
        self.people = People()
        self._progress = progress
        self._services: list[Service] = []

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        return self.broker.bootstrap if self.broker is not None else str(self.options.kafka)

    @property
    def feed_topic(self) -> str:
        """Topic of the feed."""
        return f"{self.options.topics}{FEED_TOPIC}"

    @property
    def orders(self) -> OrdersSettings:
        """Settings of the two services."""
        return OrdersSettings(
            anchor=str(self.home.anchor),
            kafka=self.kafka,
            feed_topic=self.feed_topic,
            topics=self.options.topics,
            http_port=self.api_port,
            fetch_wait_ms=EMBEDDED_FETCH_WAIT_MS if self.broker is not None else KAFKA_FETCH_WAIT_MS,
        )

    @property
    def services(self) -> Sequence[Service]:
        """The processes, in the order of their start."""
        return tuple(self._services)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        if self.broker is not None:
            self._progress("the embedded broker")
            await self.broker.start()
        await self.create_topics()
        if not self.home.anchor.exists():
            self._progress("a home with keys and users")
            await self._make_home()
        else:
            self.people = await self._people_of_home()
        self._progress("the issuer and the orders services")
        issuer = self._add(self._issuer())
        handler = self._add(self._handler())
        api = self._add(self._api("orders api", self.api_port))
        await self._until_it_answers(issuer, self.issuer_url, LISTENS)
        await self._until_it_answers(api, self.api_url, READY)

        async def consumes() -> bool:
            return handler.has_said(READY)

        await handler.until(consumes, beside=self._services)

    async def _stop(self) -> None:
        await stop_all(self._services)
        if self.broker is not None:
            await self.broker.stop()
        elif self.options.topics:
            issuers = [self.feed_topic, snapshots_topic(self.feed_topic)]
            await delete_topics(self.kafka, [*self._own_topics(), *issuers])

    async def create_topics(self) -> None:
        """Make the services' topics; again after the embedded broker forgot them.

        Raises:
            DeskError: the broker does not answer.
        """
        await create_topics(self.kafka, self._own_topics())

    async def start_another_api(self) -> str:
        """Start one more web service, with an empty memory, and return its URL once it takes orders.

        Raises:
            DeskError: it does not start.
        """
        port = find_free_port()
        service = self._add(self._api(f"orders api on port {port}", port))
        url = f"http://{LOCALHOST}:{port}"
        await self._until_it_answers(service, url, READY)
        return url

    async def _until_it_answers(self, service: Service, url: str, words: str) -> None:
        """Wait until the service is ready: it says so itself, as another process may answer at its URL."""
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=ANSWER_SECONDS) as http:

            async def answers() -> bool:
                if not service.has_said(words):
                    return False
                try:
                    return (await http.get("/readyz")).status_code == httpx.codes.OK
                except httpx.HTTPError:
                    return False

            await service.until(answers, beside=self._services)

    def _own_topics(self) -> list[str]:
        orders = self.orders
        taken = [orders.orders, orders.reports]
        return [*taken, *(f"{topic}{REJECTED_SUFFIX}" for topic in taken), orders.done]

    async def _make_home(self) -> None:
        settings = self._issuer_settings()
        await create_home(settings)
        async with open_accounts(settings) as accounts:
            for user in USERS:
                await accounts.add_user(user.name, self.options.password, user.permissions)
        self.made_home = True

    async def _people_of_home(self) -> People:
        async with open_accounts(self._issuer_settings()) as accounts:
            return People.among(await accounts.users(limit=PAGE_MAX))

    def _issuer_settings(self) -> IssuerSettings:
        return load_settings(
            home=self.home.path,
            issuer=self.issuer_url,
            kafka=self.kafka,
            kafka_embedded=self.broker is not None,
            feed_topic=self.feed_topic,
            http_port=self.issuer_port,
        )

    def _add(self, service: Service) -> Service:
        self._services.append(service)
        service.start()
        return service

    def _issuer(self) -> Service:
        environment = {
            "OSTRAKA_HOME": str(self.home.path),
            "OSTRAKA_KAFKA": self.kafka,
            "OSTRAKA_KAFKA_EMBEDDED": str(self.broker is not None).lower(),
            "OSTRAKA_FEED_TOPIC": self.feed_topic,
            "OSTRAKA_HTTP_PORT": str(self.issuer_port),
        }
        return self._service("issuer", ["ostraka_issuer", "serve"], environment)

    def _handler(self) -> Service:
        return self._service("orders handler", ["ostraka_issuer.desk.orders.handler"], self.orders.to_environment())

    def _api(self, name: str, port: int) -> Service:
        environment = {**self.orders.to_environment(), "OSTRAKA_HTTP_PORT": str(port)}
        return self._service(name, ["ostraka_issuer.desk.orders.api"], environment)

    def _service(self, name: str, arguments: Sequence[str], environment: dict[str, str]) -> Service:
        log = self.options.directory / f"{name.replace(' ', '-')}.log"
        return Service(name, arguments, environment={**clean_environment(), **environment}, log=log)


def clean_environment() -> dict[str, str]:
    """This process's environment without our variables: what is set for other commands is not meant for the stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OSTRAKA_")}


def _issuer_of(home: Home) -> str | None:
    """The issuer of a home that is there already; its URL was fixed when it was made."""
    return TrustAnchor.load(home.anchor).issuer if home.anchor.exists() else None


def port_of(url: str) -> int:
    """The port that an issuer of this machine must listen on to be reached at ``url``.

    Raises:
        DeskError: it is an URL of another machine, or not plain HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in (LOCALHOST, "localhost") or parts.path.strip("/"):
        raise DeskError(f"this home belongs to {url}, which cannot be served from the desk; use another --home")
    return parts.port or 80


def topic_prefix() -> str:
    """A name for the topics of one stack on a Kafka that others use too."""
    return f"desk-{secrets.token_hex(4)}."
