"""``ostraka watch``: the feed, verified, as it comes."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.text import Text

from ostraka_consumers.verifier import Verifier
from ostraka_schemas import base64url
from ostraka_schemas.records import Record
from ostraka_schemas.topics import FEED_TOPIC

from .arrivals import Applied, Follower, Jump, begin
from .following import PATIENCE, follow
from .guard import guarded
from .options import HOME_DEFAULT, KAFKA_DEFAULT, AnchorPath, FeedTopic, HomePath, Json, KafkaAddress, Patience
from .output import Output
from .sentences import describe

_LOOK = 1.0
"""Seconds between two looks at the freshness."""


@guarded
def watch(
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave out what happened before.")] = False,
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many records.")] = None,
    anchor: AnchorPath = None,
    kafka: KafkaAddress = KAFKA_DEFAULT,
    topic: FeedTopic = FEED_TOPIC,
    patience: Patience = PATIENCE,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show the feed, each record verified, as it comes. Ctrl-C ends it.

    It begins with the first record that the topic holds. If the beginning of the feed is no longer there, it starts
    from a snapshot, says up to where that reaches, and shows what follows.

    With --json one line a record, a line {"freshness": …} whenever that changes, and {"snapshot": "EPOCH:SEQ"} where a
    snapshot took the place of the records up to there. `uri`, `subject` and `content` are
    the event's own; `prev` is the hash of the record before it; `event` and `about` are for people and may change.

    Examples:

        ostraka watch

        ostraka watch --json --count 1 --new-only
    """

    def follower(snapshots: bool, applied: Applied) -> Verifier:
        return follow(
            home=home,
            anchor=anchor,
            kafka=kafka,
            topic=topic,
            audience="ostraka-watch",
            patience=patience,
            snapshots=snapshots,
            applied=applied,
        )

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(follower, Output(as_json), new_only=new_only, count=count))


async def _watch(follower: Follower, output: Output, *, new_only: bool, count: int | None) -> None:
    verifier, arrivals = await begin(follower, new_only=new_only)
    freshness = asyncio.create_task(_tell_freshness(verifier, output))
    shown = 0
    try:
        while shown != count:
            arrived = await arrivals.next()
            if isinstance(arrived, Record):
                _show(arrived, output)
                shown += 1
            else:
                _tell_jump(arrived, output)
    finally:
        freshness.cancel()
        await asyncio.gather(freshness, return_exceptions=True)
        await verifier.stop()


def _tell_jump(until: Jump, output: Output) -> None:
    if output.as_json:
        output.line({"snapshot": str(until)})
    else:
        output.note(f"what the topic no longer holds, up to {until}, came from a snapshot and is not shown one by one")


async def _tell_freshness(verifier: Verifier, output: Output) -> None:
    told: tuple[str, tuple[str, ...]] | None = None
    while True:
        await asyncio.sleep(_LOOK)
        status = verifier.status
        now = (status.freshness.value, status.alarms)
        if status.ready and now != told:
            told = now
            if output.as_json:
                output.line({"freshness": status.freshness.value, "alarms": list(status.alarms)})
            else:
                alarms = f"; alarms: {', '.join(status.alarms)}" if status.alarms else ""
                output.note(f"the feed is {status.freshness.value}{alarms}")


def _show(record: Record, output: Output) -> None:
    what, about, reason = describe(record)
    if output.as_json:
        output.line(_document(record, what, about, reason))
        return
    when = datetime.fromtimestamp(record.iat, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    text = Text.assemble((str(record.position).rjust(8), "cyan"), f"  {when}  ")
    text.append(what, style="bold")
    text.append(f"  {about}" if about else "")
    text.append(f"  “{reason}”" if reason else "", style="dim")
    output.show(text)


def _document(record: Record, what: str, about: str | None, reason: str | None) -> dict[str, Any]:
    event = record.event
    return {
        "position": str(record.position),
        "epoch": record.position.epoch,
        "seq": record.position.seq,
        "prev": base64url.encode(record.prev).decode(),
        "iat": record.iat,
        "txn": record.txn,
        "uri": None if event is None else event.uri,
        "subject": record.subject.model_dump(mode="json", exclude_none=True),
        "content": event.model_dump(mode="json", exclude_none=True) if isinstance(event, BaseModel) else None,
        "event": what,
        "about": about,
        "reason": reason,
    }
