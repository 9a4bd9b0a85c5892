"""How to authenticate to Kafka. Confidentiality and access control there are welcome; no decision rests on them."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from ostraka_consumers.errors import ConfigurationError

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """TLS, mutual TLS and SASL. Whatever is not given is not used.

    Args:
        ssl_context: use TLS. With a client certificate loaded (``load_cert_chain``) this is mutual TLS.
        username: authenticate by SASL; ``password`` is then needed too.
        password: never shown.
        mechanism: the SASL mechanism.

    Raises:
        ConfigurationError: nothing is given, half of the credentials is missing, or ``PLAIN`` without TLS, which would
            send the password in the clear.
    """

    ssl_context: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"

    def __post_init__(self) -> None:
        if self.ssl_context is None and self.username is None:
            raise ConfigurationError("Kafka security needs an ssl_context, a username with a password, or both")
        if (self.username is None) != (self.password is None):
            raise ConfigurationError("Kafka security needs a username and a password, or neither")
        if self.mechanism == "PLAIN" and self.username is not None and self.ssl_context is None:
            raise ConfigurationError("SASL PLAIN sends the password itself: give an ssl_context, or use SCRAM-SHA-512")

    def client_options(self) -> dict[str, Any]:
        """The keyword arguments that every aiokafka client takes for this."""
        transport = "PLAINTEXT" if self.ssl_context is None else "SSL"
        options: dict[str, Any] = {"security_protocol": transport}
        if self.ssl_context is not None:
            options["ssl_context"] = self.ssl_context
        if self.username is not None:
            options["security_protocol"] = f"SASL_{transport}"
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options
