"""The topics of the feed: made with explicit settings, and held to them.

Only ``list_topics`` may be asked about a topic that may not exist: every other request makes it, where the broker
allows that, with settings of the broker's choice.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from ostraka_consumers.sources._aiokafka import safe_start
from ostraka_schemas.topics import FEED, SNAPSHOTS, TopicSettings
from ostraka_schemas.topics import snapshots_topic as snapshots_topic_of

from ..errors import TopicMismatch
from ..limits import FEED_TOPIC_ATTEMPTS, FEED_TOPIC_PAUSE
from ..settings import IssuerSettings
from .kafka import make_admin


def feed_topic(settings: IssuerSettings) -> TopicSettings:
    """The topic of the feed."""
    return replace(FEED, name=settings.feed_topic)


def snapshots_topic(settings: IssuerSettings) -> TopicSettings:
    """The topic of its snapshots, which goes by its name."""
    return replace(SNAPSHOTS, name=snapshots_topic_of(settings.feed_topic))


async def ensure_topic(settings: IssuerSettings, wanted: TopicSettings | None = None) -> None:
    """Make a topic if it is missing, and check it.

    Args:
        wanted: how it must be; the feed's by default.

    The embedded broker forgets its topics and lets any client make them anew, with four partitions; there, a topic that
    is wrong holds nothing of worth, so it is replaced.

    Raises:
        TopicMismatch: it exists with other partitions or settings; the message says which and what to do.
        KafkaError: the broker is away or refuses.
    """
    wanted = wanted or feed_topic(settings)
    admin = make_admin(settings)
    try:
        await safe_start(admin)
        if wanted.name not in await admin.list_topics():
            await _make(admin, settings, wanted)
        for _ in range(FEED_TOPIC_ATTEMPTS):
            wrong = await _wrong(admin, wanted)
            if wrong is None:
                await asyncio.sleep(FEED_TOPIC_PAUSE)
            elif not wrong:
                return
            elif settings.kafka_embedded:
                await _make_again(admin, settings, wanted)
            else:
                raise TopicMismatch(
                    f"the topic {wanted.name} is not as the feed needs it: {'; '.join(wrong)}. "
                    "Alter it, or delete it and it is made and filled again"
                )
        raise KafkaConnectionError(f"the topic {wanted.name} does not settle")
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()


async def _make(admin: AIOKafkaAdminClient, settings: IssuerSettings, wanted: TopicSettings) -> None:
    await _create(admin, settings, wanted)
    if settings.kafka_embedded:
        # It takes records for a topic that does not exist, and they then lie, unreadable, under the one that is made.
        await _make_again(admin, settings, wanted)


async def _make_again(admin: AIOKafkaAdminClient, settings: IssuerSettings, wanted: TopicSettings) -> None:
    await admin.delete_topics([wanted.name])
    await _create(admin, settings, wanted)


async def _wrong(admin: AIOKafkaAdminClient, wanted: TopicSettings) -> list[str] | None:
    """What is wrong with the topic, or ``None`` if that cannot be told yet."""
    partitions = await _partitions(admin, wanted.name)
    return None if partitions is None else _differences(wanted, partitions, await _configs(admin, wanted.name))


async def _create(admin: AIOKafkaAdminClient, settings: IssuerSettings, wanted: TopicSettings) -> None:
    topic = NewTopic(
        wanted.name,
        num_partitions=wanted.partitions,
        replication_factor=settings.replication_factor,
        topic_configs=dict(wanted.configs),
    )
    response = await admin.create_topics([topic])
    for _, code, *message in response.topic_errors:
        # Somebody else may have been faster; what they made is checked like any other.
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"cannot make the topic {wanted.name}: {' '.join(map(str, message))}")


async def _partitions(admin: AIOKafkaAdminClient, name: str) -> int | None:
    # All of them: asking for one by its name makes it, where the broker is allowed to.
    description = next((topic for topic in await admin.describe_topics() if topic["topic"] == name), None)
    if description is None or any(part["error_code"] for part in (description, *description["partitions"])):
        return None  # No leader yet, or being made, or being deleted.
    return len(description["partitions"])


async def _configs(admin: AIOKafkaAdminClient, name: str) -> Mapping[str, str]:
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    found: dict[str, str] = {}
    for response in responses:
        for code, message, _kind, _name, entries in response.resources:
            if code:
                raise for_code(code)(f"cannot see the settings of {name}: {message}")
            found.update(_entry(entry) for entry in entries)
    return found


def _entry(entry: Any) -> tuple[str, str]:
    name, value, *_ = entry
    return name, value


def _differences(wanted: TopicSettings, partitions: int, configs: Mapping[str, str]) -> list[str]:
    wrong = [
        f"{name} is {configs.get(name)}, not {value}"
        for name, value in wanted.configs.items()
        if configs.get(name) != value
    ]
    if partitions != wanted.partitions:
        wrong.insert(0, f"it has {partitions} partitions, not {wanted.partitions}")
    return wrong
