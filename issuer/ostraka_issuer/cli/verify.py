"""``ostraka verify``: would a service accept this token now, and why (not)?"""

import asyncio
import sys
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_consumers.explain import Explanation, explain
from ostraka_schemas import base64url, strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.permissions import is_permission
from ostraka_schemas.topics import FEED_TOPIC

from .exits import Exit
from .following import PATIENCE, follow
from .guard import CommandError, exit_code_of, guarded
from .options import HOME_DEFAULT, KAFKA_DEFAULT, AnchorPath, FeedTopic, HomePath, Json, KafkaAddress, Patience
from .output import Output

NO_AUDIENCE = "ostraka"
"""Stands in where the token names no audience; it is refused before anybody asks."""


@guarded
def verify(
    token: Annotated[str, typer.Argument(help="The token, or - to read it from standard input.")],
    require: Annotated[
        list[str], typer.Option("--require", "-r", help="A permission to ask for; repeat for more.")
    ] = [],  # noqa: B006 - read only, and what typer asks for
    audience: Annotated[
        list[str], typer.Option("--audience", help="Who you are; repeat for more. [default: whom the token is for]")
    ] = [],  # noqa: B006
    anchor: AnchorPath = None,
    kafka: KafkaAddress = KAFKA_DEFAULT,
    topic: FeedTopic = FEED_TOPIC,
    patience: Patience = PATIENCE,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Decide on a token as a service would, and show each step. Needs the trust anchor and the feed; asks no issuer.

    Exit code 0: accepted. 3: refused. 5: nothing can be decided without recent news from the feed.

    Examples:

        ostraka verify "$TOKEN" --require orders:create

        echo "$TOKEN" | ostraka verify - --anchor anchor.json --kafka kafka:9092
    """
    if wrong := [permission for permission in require if not is_permission(permission)]:
        raise CommandError(f"{wrong[0]!r} is not a permission: write resource:action", Exit.USAGE)
    given = sys.stdin.readline(2 * TOKEN_MAX_BYTES).strip() if token == "-" else token  # noqa: S105 - a dash
    names = audience or _audiences_named(given) or [NO_AUDIENCE]

    async def work() -> Explanation:
        verifier = follow(home=home, anchor=anchor, kafka=kafka, topic=topic, audience=names, patience=patience)
        async with verifier:
            return explain(verifier, given, require=tuple(require))

    explanation = asyncio.run(work())
    Output(as_json).result(_document(explanation), _steps(explanation))
    if explanation.error is not None:
        raise typer.Exit(exit_code_of(explanation.error))


def _audiences_named(token: str) -> list[str]:
    """Whom the token says it is for, unverified: this only chooses the question."""
    parts = token.split(".")
    try:
        claims = strict_json.loads_object(base64url.decode_text(parts[1])) if len(parts) == 3 else {}
    except WireError:
        return []
    named = claims.get("aud")
    candidates = named if isinstance(named, list) else [named]
    return [name for name in candidates if isinstance(name, str) and name]


def _document(explanation: Explanation) -> dict[str, Any]:
    grant, error = explanation.grant, explanation.error
    return {
        "accepted": grant is not None,
        "error": None if error is None else error.code,
        "steps": [{"name": step.name, "passed": step.passed, "detail": step.detail} for step in explanation.steps],
        "grant": None
        if grant is None
        else {
            "subject": grant.subject,
            "client_id": grant.client_id,
            "audience": list(grant.audience),
            "session_id": grant.session_id,
            "token_id": grant.token_id,
            "issued_at": grant.issued_at,
            "expires_at": grant.expires_at,
            "permissions": list(grant.permissions),
        },
    }


def _steps(explanation: Explanation) -> Text:
    text = Text()
    width = max(len(step.name) for step in explanation.steps)
    for step in explanation.steps:
        mark, style = ("✓", "green") if step.passed else ("✗", "bold red")
        text.append(f"{mark} ", style=style)
        text.append(step.name.ljust(width + 2), style="bold")
        text.append(f"{step.detail}\n")
    if explanation.grant is None:
        text.append("refused", style="bold red")
    else:
        text.append("accepted", style="bold green")
        text.append(f"; allows {' '.join(explanation.grant.permissions) or 'nothing by name'}")
    return text
