"""``ostraka dev``: the stack, until somebody ends it; and what to type to use it."""

import asyncio
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ostraka_issuer.home import write_file

from .people import People
from .ports import is_free
from .stack import USERS, Stack, StackOptions

ISSUER_PORT: Final = 8400
API_PORT: Final = 8401
_LOOK: Final = 0.5
"""Seconds between two looks at whether every process still runs."""

Started = Callable[[Stack, Path], None]


def preferred(port: int) -> int | None:
    """``port`` if it is free, else ``None``: any."""
    return port if is_free(port) else None


async def run_dev(options: StackOptions, progress: Callable[[str], None], started: Started) -> None:
    """Run a stack until cancelled.

    Args:
        started: called once everything runs, with the stack and the path of a file for the shell.

    Raises:
        DeskError: a part does not start, or ends by itself.
    """
    async with Stack(options, progress) as stack:
        settings = options.directory / "env.sh"
        await asyncio.to_thread(write_file, settings, shell_settings(stack).encode(), mode=0o600)
        started(stack, settings)
        while True:
            for service in stack.services:
                service.check()
            await asyncio.sleep(_LOOK)


def variables(stack: Stack) -> dict[str, str]:
    """What the other commands need to find this stack."""
    found = {
        "OSTRAKA_HOME": str(stack.home.path),
        "OSTRAKA_KAFKA": stack.kafka,
        "OSTRAKA_FEED_TOPIC": stack.feed_topic,
        "ORDERS": stack.api_url,
        "JSON": "Content-Type: application/json",
    }
    if stack.made_home:
        found["OSTRAKA_PASSWORD"] = stack.options.password
    return found


def shell_settings(stack: Stack) -> str:
    """The same for a shell to read."""
    path = f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"\n'
    return path + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables(stack).items())


def commands(settings: Path, people: People) -> tuple[tuple[str, str], ...]:
    """Commands to paste, each with what it is for."""
    customer, operator = shlex.quote(people.customer), shlex.quote(people.operator)
    return (
        ("in another terminal, first", f"source {shlex.quote(str(settings))}"),
        (f"{people.customer}'s token", f"TOKEN=$(ostraka login {customer} --show-token)"),
        (
            "an order",
            'curl -sSw "\\n" "$ORDERS/orders" -H "Authorization: Bearer $TOKEN" -H "$JSON" -d "{}"',
        ),
        ("an operator", f"ostraka login {operator}"),
        ("cut off", "ostraka revoke permission orders:create --reason stock-taking"),
        ("why is it refused?", 'ostraka verify "$TOKEN" --require orders:create'),
        ("the feed, live", "ostraka watch"),
    )


def document(stack: Stack, settings: Path) -> Mapping[str, Any]:
    """All of it for machines."""
    return {
        "issuer": stack.issuer_url,
        "orders": stack.api_url,
        "kafka": stack.kafka,
        "embedded_broker": stack.broker is not None,
        "feed_topic": stack.feed_topic,
        "orders_topic": stack.orders.orders,
        "home": str(stack.home.path),
        "anchor": str(stack.home.anchor),
        "settings": str(settings),
        "users": [{"name": user.name, "permissions": list(user.permissions)} for user in USERS]
        if stack.made_home
        else [],
        "password": stack.options.password if stack.made_home else None,
        "commands": [command for _, command in commands(settings, stack.people)],
        "processes": {service.name: service.pid for service in stack.services}
        | ({"broker": stack.broker.pid} if stack.broker is not None else {}),
    }
