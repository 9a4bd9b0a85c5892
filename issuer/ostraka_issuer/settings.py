"""The issuer's settings: environment variables ``OSTRAKA_…``, or arguments."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
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


class IssuerSettings(KafkaAccess):
    """Everything that can be set. Times are seconds. What ``KafkaAccess`` has is set in the same way.

    Attributes:
        home: directory with the database, the sealed keys and the trust anchor.
        issuer: the issuer identifier, an URL (RFC 8414 §2). Fixed when the home is made; later it must be the same.
        kafka: bootstrap servers, ``host:port`` joined by commas.
        kafka_embedded: the broker is the embedded one: no idempotent producer.
        audiences: what a login may ask for; all of them by default.
        client_id: the client of logins that name none.
        token_algorithm: of the token key that ``init`` makes, and of its successors.
        key_lead: how long a successor is published before it signs.
        failpoint: ``name`` or ``name:n``: end the process there with SIGKILL. For tests.
    """

    home: Path = Path("~/.ostraka")
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
    password_profile: ProfileName = "rfc9106-low-memory"  # noqa: S105
    failpoint: str | None = None

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

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
