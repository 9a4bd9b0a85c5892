"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import checks

HOME_DEFAULT = Path("~/.ostraka")

Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]

HomePath = Annotated[
    Path,
    typer.Option("--home", envvar="OSTRAKA_HOME", help="Directory of the issuer, or of your login."),
]

KafkaAddress = Annotated[
    str,
    typer.Option(
        "--kafka",
        envvar="OSTRAKA_KAFKA",
        metavar="HOST:PORT",
        callback=checks.kafka,
        help="Kafka that carries the feed.",
    ),
]

FeedTopic = Annotated[str, typer.Option("--topic", envvar="OSTRAKA_FEED_TOPIC", help="Topic of the feed.")]

KAFKA_DEFAULT = "127.0.0.1:9092"

AnchorPath = Annotated[
    Path | None,
    typer.Option(
        "--anchor", envvar="OSTRAKA_ANCHOR", help="Trust anchor that `ostraka init` wrote. [default: HOME/anchor.json]"
    ),
]

Patience = Annotated[float, typer.Option("--patience", min=0.1, help="Seconds to wait for the feed.")]

Reason = Annotated[
    str, typer.Option("--reason", callback=checks.reason, help="Why, for the record. Verifiers see it too.")
]

MaybeReason = Annotated[
    str | None,
    typer.Option("--reason", callback=checks.optional_reason, help="Why, for the record. Verifiers see it too."),
]

Permissions = Annotated[
    list[str],
    typer.Option(
        "--permission",
        "-p",
        callback=checks.permissions,
        help="resource:action, either side may be *; repeat for more.",
    ),
]

PasswordFromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


def issuer_option(help_text: str) -> Any:
    """``--issuer``: what it is for differs, how it is given does not."""
    return typer.Option("--issuer", envvar="OSTRAKA_ISSUER", callback=checks.url, help=help_text)
