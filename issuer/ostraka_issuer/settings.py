"""The issuer's settings: arguments, environment variables ``OSTRAKA_…``, or a TOML file with the same names in small
letters. A new one is a field with its bounds and a line of text; the reference page is made from them (``./run docs``).
"""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from ostraka_schemas import base64url
from ostraka_schemas.errors import WireError
from ostraka_schemas.jwk import Algorithm
from ostraka_schemas.limits import AUDIENCES_MAX, HEARTBEAT_INTERVAL, MAX_STALENESS, TOKEN_LIFETIME, TOKEN_LIFETIME_MAX
from ostraka_schemas.model import Identifier
from ostraka_schemas.topics import FEED_TOPIC

from . import failpoints
from .configuration.resolve import Further, Resolved, resolve
from .configuration.texts import is_feed_topic, is_issuer, is_kafka_address
from .kafka_access import KafkaAccess
from .keys.vault import SECRET_BYTES
from .limits import KEY_LEAD, KEY_LEAD_MAX, TRUSTED_PROXIES_MAX

OWN_AUDIENCE = "ostraka"
"""The audience of the issuer's own admin doors."""

ProfileName = Literal["rfc9106-low-memory", "rfc9106-high-memory", "owasp", "unsafe-for-tests"]


LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]

KeyStoreName = Literal["directory", "database"]

Role = Literal["all", "api", "feed"]


class IssuerSettings(KafkaAccess):
    """Everything that can be set. Times are seconds. What ``KafkaAccess`` has is set in the same way."""

    home: Path = Path("~/.ostraka")
    """Directory with the database, the sealed keys and the trust anchor."""

    role: Role = "all"
    """What this process does: ``api`` faces HTTP and needs neither the feed key nor a broker; ``feed`` writes the feed,
    and shows only that; ``all`` is both. Several processes of any role may share one database."""

    database: SecretStr | None = None
    """A PostgreSQL database, ``postgresql://user:password@host/name``; without it a SQLite file in the home."""

    issuer: str = "http://127.0.0.1:8400"
    """The issuer identifier, an URL (RFC 8414 §2). Fixed when the home is made; later it must be the same."""

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, ``host:port`` joined by commas."""

    kafka_embedded: bool = False
    """The broker is the embedded one: no idempotent producer."""

    feed_topic: str = FEED_TOPIC
    """The topic of the feed; snapshots go to one beside it."""

    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    """Of the topics that the issuer makes."""

    http_host: str = "127.0.0.1"
    """Where ``serve`` listens."""

    http_port: Annotated[int, Field(ge=1, le=65_535)] = 8400
    """The port it listens on."""

    trusted_proxies: Annotated[list[str], NoDecode, Field(max_length=TRUSTED_PROXIES_MAX)] = Field(
        default_factory=list[str]
    )
    """Networks of proxies whose ``X-Forwarded-For`` is believed, joined by commas. Logins are throttled by address,
    too: behind a proxy that is not named here, everybody has the proxy's."""

    audiences: Annotated[list[Identifier], NoDecode, Field(min_length=1, max_length=AUDIENCES_MAX)] = Field(
        default_factory=lambda: ["orders", OWN_AUDIENCE]
    )
    """What a login may ask for; all of them by default."""

    client_id: Identifier = "ostraka-cli"
    """The client of logins that name none."""

    token_algorithm: Algorithm = "ES256"  # noqa: S105
    """Of the token key that ``init`` makes, and of its successors."""

    token_lifetime: Annotated[int, Field(ge=10, le=TOKEN_LIFETIME_MAX)] = TOKEN_LIFETIME
    """Seconds that an access token lives."""

    heartbeat_interval: Annotated[int, Field(ge=1, le=MAX_STALENESS)] = HEARTBEAT_INTERVAL
    """Seconds between two heartbeats of the feed."""

    key_lead: Annotated[int, Field(ge=0, le=KEY_LEAD_MAX)] = KEY_LEAD
    """Seconds that a successor of a token key is published before it signs."""

    key_store: KeyStoreName = "directory"
    """Where private keys are: sealed files in the home, or the database, for processes that share it."""

    secret_key: SecretStr | None = Field(default=None, min_length=1)
    """What private keys are sealed with: base64url of 32 random bytes. Without it and without a file, ``init`` makes
    one in the home."""

    secret_key_file: Path | None = None
    """Or a file with it, which only its owner may read."""

    password_profile: ProfileName = "rfc9106-low-memory"  # noqa: S105
    """How hard passwords are hashed (argon2id), by the name of a published set of parameters."""

    log_level: LogLevel = "info"
    """The least that ``serve`` logs."""

    log_format: LogFormat = "auto"
    """``json``, one object a line; ``console``, for people; ``auto``: for people on a terminal."""

    failpoint: str | None = None
    """``name`` or ``name:n``: end the process there with SIGKILL. For tests."""

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("secret_key_file", mode="after")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser()

    @field_validator("database", mode="after")
    @classmethod
    def _postgresql_url(cls, database: SecretStr | None) -> SecretStr | None:
        if database is not None and not database.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("the database is an URL: postgresql://user:password@host/name")
        return database

    @field_validator("issuer", mode="after")
    @classmethod
    def _issuer_url(cls, issuer: str) -> str:
        if not is_issuer(issuer):
            raise ValueError("the issuer is an http or https URL without user, query and fragment")
        return issuer.rstrip("/")

    @field_validator("kafka", mode="after")
    @classmethod
    def _addresses(cls, kafka: str) -> str:
        if not all(map(is_kafka_address, kafka.split(","))):
            raise ValueError("must be addresses host:port, joined by commas")
        return kafka

    @field_validator("feed_topic", mode="after")
    @classmethod
    def _topic(cls, topic: str) -> str:
        if not is_feed_topic(topic):
            raise ValueError("a topic is called by letters, digits, dots, _ and -, with its ending 249 at most")
        return topic

    @field_validator("secret_key", mode="after")
    @classmethod
    def _secret(cls, secret: SecretStr | None) -> SecretStr | None:
        try:
            if secret is not None:
                base64url.decode_text(secret.get_secret_value().strip(), size=SECRET_BYTES)
        except WireError:
            raise ValueError(f"must be base64url of {SECRET_BYTES} random bytes") from None
        return secret

    @field_validator("failpoint", mode="after")
    @classmethod
    def _failpoint(cls, spec: str | None) -> str | None:
        fault = None if spec is None else failpoints.fault_in(spec)
        if fault is not None:
            raise ValueError(fault)
        return spec

    @field_validator("trusted_proxies", mode="after")
    @classmethod
    def _networks(cls, networks: list[str]) -> list[str]:
        try:
            return [str(ip_network(network)) for network in networks]
        except ValueError:
            raise ValueError("a network is written 192.0.2.0/24 or 2001:db8::/32, without bits of a host") from None

    @field_validator("audiences", "trusted_proxies", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value


def load_settings(**values: Any) -> IssuerSettings:
    """Read the settings: ``values`` first, then the environment, then the file, then the defaults.

    Raises:
        SetupError: names every setting that is wrong, where it was set and what is allowed, never its value.
    """
    return resolve_settings(**values).settings


def resolve_settings(*, further: Further[IssuerSettings] | None = None, **values: Any) -> Resolved[IssuerSettings]:
    """The same, and where each value comes from.

    Args:
        further: finds what no single setting shows.
    """
    return resolve(IssuerSettings, values, further=further)


def load_kafka_access() -> KafkaAccess:
    """Read only what Kafka clients need, from the same sources.

    Raises:
        SetupError: as ``load_settings``.
    """
    return resolve(KafkaAccess, {}, known=IssuerSettings).settings
