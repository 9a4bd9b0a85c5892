"""The issuer's settings: environment variables ``OSTRAKA_…``, or arguments."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from ostraka_schemas.jwk import Algorithm
from ostraka_schemas.limits import AUDIENCES_MAX, HEARTBEAT_INTERVAL, MAX_STALENESS, TOKEN_LIFETIME, TOKEN_LIFETIME_MAX
from ostraka_schemas.model import Identifier
from ostraka_schemas.topics import FEED_TOPIC

from .kafka_access import KafkaAccess, wrong_settings
from .limits import KEY_LEAD, KEY_LEAD_MAX

OWN_AUDIENCE = "ostraka"
"""The audience of the issuer's own admin doors."""

ProfileName = Literal["rfc9106-low-memory", "rfc9106-high-memory", "owasp", "unsafe-for-tests"]


LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]

Role = Literal["all", "api", "feed"]


class IssuerSettings(KafkaAccess):
    """Everything that can be set. Times are seconds. What ``KafkaAccess`` has is set in the same way.

    Attributes:
        home: directory with the database, the sealed keys and the trust anchor.
        database: a PostgreSQL database, ``postgresql://user:password@host/name``; ``None``: a SQLite file in the home.
        role: ``all``, or what of it this process does: ``api`` faces HTTP and needs neither the feed key nor a broker;
            ``feed`` writes the feed, and shows only that. Several processes of any role may share one database.
        issuer: the issuer identifier, an URL (RFC 8414 §2). Fixed when the home is made; later it must be the same.
        kafka: bootstrap servers, ``host:port`` joined by commas.
        kafka_embedded: the broker is the embedded one: no idempotent producer.
        audiences: what a login may ask for; all of them by default.
        client_id: the client of logins that name none.
        token_algorithm: of the token key that ``init`` makes, and of its successors.
        key_lead: how long a successor is published before it signs.
        key_store: where private keys are: sealed files in the home, or the database, for processes that share it.
        secret_key: what they are sealed with, base64url of 32 random bytes. Or ``secret_key_file``: a file with it.
            Without either, ``init`` makes one in the home.
        log_level: the least that ``serve`` logs.
        log_format: ``json``, one object a line; ``console``, for people; ``auto``: for people on a terminal.
        failpoint: ``name`` or ``name:n``: end the process there with SIGKILL. For tests.
    """

    home: Path = Path("~/.ostraka")
    role: Role = "all"
    database: SecretStr | None = None
    issuer: str = "http://127.0.0.1:8400"
    kafka: str = "127.0.0.1:9092"
    kafka_embedded: bool = False
    feed_topic: str = FEED_TOPIC
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=1, le=65_535)] = 8400
    audiences: Annotated[list[Identifier], NoDecode, Field(min_length=1, max_length=AUDIENCES_MAX)] = Field(
        default_factory=lambda: ["orders", OWN_AUDIENCE]
    )
    client_id: Identifier = "ostraka-cli"
    token_algorithm: Algorithm = "ES256"  # noqa: S105
    token_lifetime: Annotated[int, Field(ge=10, le=TOKEN_LIFETIME_MAX)] = TOKEN_LIFETIME
    heartbeat_interval: Annotated[int, Field(ge=1, le=MAX_STALENESS)] = HEARTBEAT_INTERVAL
    key_lead: Annotated[int, Field(ge=0, le=KEY_LEAD_MAX)] = KEY_LEAD
    key_store: Literal["directory", "database"] = "directory"
    secret_key: SecretStr | None = Field(default=None, min_length=1)
    secret_key_file: Path | None = None
    password_profile: ProfileName = "rfc9106-low-memory"  # noqa: S105
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"
    failpoint: str | None = None

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
        # RFC 8414 §2: an URL without query and fragment. Plain http is for the desk; nothing here rests on TLS.
        parts = urlsplit(issuer)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("the issuer is an http or https URL without query and fragment")
        return issuer.rstrip("/")

    @field_validator("audiences", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value


def load_settings(**values: object) -> IssuerSettings:
    """Read the settings: ``values`` first, then the environment, then the defaults.

    Raises:
        SetupError: names the settings that are wrong and why, never their values.
    """
    try:
        given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        return IssuerSettings(**given)
    except ValidationError as error:
        raise wrong_settings(error) from error
