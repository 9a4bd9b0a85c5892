"""How to authenticate to Kafka: for the issuer, and for the commands that read the feed."""

import ssl
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.sources.security import KafkaSecurity, Mechanism

from .configuration.layers import PREFIX
from .errors import SetupError
from .limits import SECRET_FILE_MAX_BYTES


class KafkaAccess(BaseSettings):
    """TLS and SASL towards Kafka; without any of it plain TCP. Files are read once, when they are first needed."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", hide_input_in_errors=True, frozen=True, use_attribute_docstrings=True
    )

    kafka_tls: bool = False
    """Use TLS towards Kafka. Naming one of the files below does it too."""

    kafka_ca_file: Path | None = None
    """Who may vouch for the brokers (PEM); by default whom the system trusts."""

    kafka_cert_file: Path | None = None
    """A client certificate with its chain (PEM), for mutual TLS."""

    kafka_key_file: Path | None = None
    """Its private key (PEM, not encrypted); by default in the same file."""

    kafka_username: str | None = Field(default=None, min_length=1)
    """Authenticate to Kafka by SASL, under this name."""

    kafka_password: SecretStr | None = Field(default=None, min_length=1)
    """The password for it."""

    kafka_password_file: Path | None = None
    """Or a file with the password in its first line."""

    kafka_mechanism: Mechanism = "SCRAM-SHA-512"
    """The SASL mechanism. PLAIN is refused without TLS."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library gives it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: ``configuration.resolve`` reads the sources, and knows which value is whose."""
        return (init_settings,)

    @cached_property
    def kafka_security(self) -> KafkaSecurity | None:
        """What Kafka clients are told, or ``None`` for plain TCP. Blocks: it may read files.

        Raises:
            SetupError: half of something is missing, or a file cannot be used; the message names the variable.
        """
        context, password = self._ssl_context(), self._password()
        if context is None and self.kafka_username is None and password is None:
            return None
        try:
            return KafkaSecurity(context, self.kafka_username, password, self.kafka_mechanism)
        except ConfigurationError as error:
            raise SetupError(f"OSTRAKA_KAFKA_…: {error}") from error

    def kafka_options(self) -> dict[str, Any]:
        """The keyword arguments of every aiokafka client; raises as ``kafka_security`` does."""
        return {} if self.kafka_security is None else self.kafka_security.client_options()

    def _ssl_context(self) -> ssl.SSLContext | None:
        if self.kafka_key_file is not None and self.kafka_cert_file is None:
            raise SetupError("OSTRAKA_KAFKA_KEY_FILE is given without OSTRAKA_KAFKA_CERT_FILE")
        if not (self.kafka_tls or self.kafka_ca_file or self.kafka_cert_file):
            return None
        try:
            context = ssl.create_default_context(cafile=self.kafka_ca_file and self.kafka_ca_file.expanduser())
        except OSError as error:
            raise _unusable("OSTRAKA_KAFKA_CA_FILE", self.kafka_ca_file, error) from error
        if self.kafka_cert_file is not None:
            try:
                # Without a callable OpenSSL would ask for the password of an encrypted key on the terminal.
                key = self.kafka_key_file and self.kafka_key_file.expanduser()
                context.load_cert_chain(self.kafka_cert_file.expanduser(), key, password=lambda: b"")
            except (OSError, ValueError) as error:
                where = self.kafka_key_file or self.kafka_cert_file
                raise _unusable("OSTRAKA_KAFKA_CERT_FILE", where, error) from error
        return context

    def _password(self) -> str | None:
        if self.kafka_password is not None and self.kafka_password_file is not None:
            raise SetupError("OSTRAKA_KAFKA_PASSWORD and OSTRAKA_KAFKA_PASSWORD_FILE are both given: give one of them")
        if self.kafka_password is not None:
            return self.kafka_password.get_secret_value()
        if self.kafka_password_file is None:
            return None
        try:
            with self.kafka_password_file.expanduser().open("rb") as file:
                line = file.read(SECRET_FILE_MAX_BYTES).split(b"\n", 1)[0].rstrip(b"\r").decode()
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable("OSTRAKA_KAFKA_PASSWORD_FILE", self.kafka_password_file, error) from None
        if not line:
            raise SetupError(f"OSTRAKA_KAFKA_PASSWORD_FILE: the first line of {self.kafka_password_file} is empty")
        return line


def _unusable(variable: str, path: Path | None, error: Exception) -> SetupError:
    # An error of decoding repeats what it could not decode.
    why = error.strerror or error.reason if isinstance(error, ssl.SSLError) else None
    if why is None:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not what it should be"
    return SetupError(f"{variable}: {path} cannot be used: {why}")
