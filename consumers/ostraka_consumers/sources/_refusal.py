"""Why no broker can be used. aiokafka only says that it is so; the reason goes to its log."""

import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaConnectionError, KafkaError, UnsupportedSaslMechanismError

from ._aiokafka_bounds import BoundedConnection

ANSWER_MS: Final = 2_000
"""How long each of the few steps of one attempt may take."""

_NUMBER: Final = re.compile(r"^\[Error -?\d+\] ")
"""aiokafka puts the number of the broker's answer first."""

ADDRESSES_MAX: Final = 3
"""So many addresses are asked; if they disagree, more of them would not help either."""


async def why_refused(bootstrap: str | Sequence[str], security: Mapping[str, Any] | None = None) -> str | None:
    """Connect once more to the addresses, and say in words what comes of it.

    Args:
        bootstrap: ``host:port`` joined by commas, or a sequence of them.
        security: what ``KafkaSecurity.client_options`` gave; empty for plain TCP.

    Returns:
        A sentence without a secret, or ``None`` if a broker takes the connection.
    """
    told = None
    for host, port, _ in collect_hosts(bootstrap, randomize=False)[:ADDRESSES_MAX]:
        try:
            await _connect(host, port, security or {})
        except _Refused as error:
            # One that turns us down says more than one that is not there.
            told = told or f"{host}:{port}: {error}"
        except (OSError, TimeoutError):
            continue
        else:
            return None
    return told or f"no broker answers at {bootstrap if isinstance(bootstrap, str) else ', '.join(bootstrap)}"


def name_of(error: BaseException) -> str:
    """An error's kind and its words. aiokafka's name themselves in their words; others do not."""
    kind, text = type(error).__name__, _NUMBER.sub("", str(error))
    return text if text.startswith(kind) else f"{kind}: {text}" if text else kind


class _Refused(Exception):
    pass


async def _connect(host: str, port: int, security: Mapping[str, Any]) -> None:
    user = security.get("sasl_plain_username")
    connection = BoundedConnection(host, port, request_timeout_ms=ANSWER_MS, **security)
    try:
        await connection.connect()
    except ssl.SSLError as error:
        raise _Refused(f"TLS fails: {getattr(error, 'verify_message', None) or error.reason or error}") from error
    except KafkaConnectionError as error:
        raise _Refused(
            "the broker ends the connection: its listener may want TLS, or another way to authenticate"
        ) from error
    except UnsupportedSaslMechanismError as error:
        raise _Refused(f"the broker does not offer the SASL mechanism {security.get('sasl_mechanism')}") from error
    except KafkaError as error:
        why = error.args[0] if error.args and error.args[0] else type(error).__name__
        raise _Refused(f"the broker refuses to authenticate {user!r}: {why}") from error
    except (KeyError, ValueError, AssertionError) as error:
        # How aiokafka puts it that the last message of SCRAM is not a proof of the same password.
        raise _Refused(f"the broker does not know the password of {user!r}") from error
    finally:
        connection.close()
