"""``ostraka dev``: everything on this machine."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ostraka_issuer.desk import dev as desk
from ostraka_issuer.desk.people import People
from ostraka_issuer.desk.signals import Ended, until_signalled
from ostraka_issuer.desk.stack import Stack, StackOptions, topic_prefix

from . import checks
from .guard import guarded
from .options import Json
from .output import Output, pairs, standard_error
from .passwords import generate_password
from .workplace import workplace

RealKafka = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        metavar="HOST:PORT",
        callback=checks.kafka,
        help="Use this Kafka, without TLS and SASL. [default: the embedded broker, started here]",
    ),
]


@guarded
def dev(
    kafka: RealKafka = None,
    home: Annotated[
        Path | None, typer.Option("--home", help="Keep the issuer here. [default: a temporary directory]")
    ] = None,
    issuer_port: Annotated[
        int | None, typer.Option("--issuer-port", min=1, max=65535, help="Where the issuer listens. [default: 8400]")
    ] = None,
    api_port: Annotated[
        int | None, typer.Option("--api-port", min=1, max=65535, help="Where the orders api listens. [default: 8401]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start everything on this machine: a broker, the issuer, and two orders services. Ctrl-C ends all of it.

    A default port that is taken is replaced by a free one.

    The users are alice (orders:create, orders:read, reports:read), bob (orders:*, reports:read) and operator.

    Examples:

        ostraka dev

        ostraka dev --home ./issuer --kafka localhost:9092
    """
    output = Output(as_json)
    with workplace("dev", output) as place, progress() as say:
        options = StackOptions(
            directory=place.path,
            home=None if home is None else home.expanduser().absolute(),
            kafka=kafka,
            # A new issuer cannot go on with another's feed.
            topics=topic_prefix() if kafka and home is None else "",
            issuer_port=issuer_port or desk.preferred(desk.ISSUER_PORT),
            api_port=api_port or desk.preferred(desk.API_PORT),
            password=generate_password(),
        )

        def started(stack: Stack, settings: Path) -> None:
            say("")
            output.result(desk.document(stack, settings), _addresses(stack), _commands(settings, stack.people))
            output.note("Ctrl-C ends everything.")

        with contextlib.suppress(Ended):
            asyncio.run(until_signalled(desk.run_dev(options, say, started)))
    output.note("ended")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being done; an empty one takes it away."""
    console = standard_error()
    if not console.is_terminal:
        yield lambda what: console.print(f"{what} …", markup=False) if what else None
        return
    with console.status("") as status:

        def say(what: str) -> None:
            if what:
                status.update(Text(f"{what} …"))
                status.start()
            else:
                status.stop()

        yield say


def _addresses(stack: Stack) -> Table:
    broker = "embedded; forgets everything when it ends" if stack.broker is not None else "yours"
    rows: list[tuple[str, object]] = [
        ("issuer", stack.issuer_url),
        ("orders api", stack.api_url),
        ("orders topic", f"{stack.orders.orders}  (what is refused goes to {stack.orders.orders}.rejected)"),
        ("kafka", f"{stack.kafka}  ({broker})"),
        ("home", stack.home.path),
    ]
    if stack.made_home:
        rows.append(("users", "alice, bob, operator; their password is in the settings below"))
    return pairs(*rows)


def _commands(settings: Path, people: People) -> Text:
    text = Text("\n")
    for purpose, command in desk.commands(settings, people):
        text.append(f"  # {purpose}\n", style="dim")
        text.append(f"  {command}\n")
    return text
