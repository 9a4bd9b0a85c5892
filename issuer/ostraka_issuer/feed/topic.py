"""The feed's topic: made with explicit settings, and held to them.

Only ``list_topics`` may be asked about a topic that may not exist: every other request makes it, where the broker
allows that, with settings of the broker's choice.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from ostraka_consumers.sources._aiokafka import safe_start
from ostraka_schemas.topics import FEED

from ..errors import TopicMismatch
from ..limits import FEED_TOPIC_ATTEMPTS, FEED_TOPIC_PAUSE
from ..settings import IssuerSettings
from .kafka import make_admin


async def ensure_topic(settings: IssuerSettings) -> None:
    """Make the feed's topic if it is missing, and check it.

    The embedded broker forgets its topics and lets any client make them anew, with four partitions; there, a topic that
    is wrong holds nothing of worth, so it is replaced.

    Raises:
        TopicMismatch: it exists with other partitions or settings; the message says which and what to do.
        KafkaError: the broker is away or refuses.
    """
    admin = make_admin(settings)
    try:
        await safe_start(admin)
        if settings.feed_topic not in await admin.list_topics():
            await _make(admin, settings)
        for _ in range(FEED_TOPIC_ATTEMPTS):
            wrong = await _wrong(admin, settings.feed_topic)
            if wrong is None:
                await asyncio.sleep(FEED_TOPIC_PAUSE)
            elif not wrong:
                return
            elif settings.kafka_embedded:
                await _make_again(admin, settings)
            else:
                raise TopicMismatch(
                    f"the topic {settings.feed_topic} is not as the feed needs it: {'; '.join(wrong)}. "
                    "Alter it, or delete it and it is made and filled again"
                )
        raise KafkaConnectionError(f"the topic {settings.feed_topic} does not settle")
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()


async def _make(admin: AIOKafkaAdminClient, settings: IssuerSettings) -> None:
    await _create(admin, settings)
    if settings.kafka_embedded:
        # It takes records for a topic that does not exist, and they then lie, unreadable, under the one that is made.
        await _make_again(admin, settings)


async def _make_again(admin: AIOKafkaAdminClient, settings: IssuerSettings) -> None:
    await admin.delete_topics([settings.feed_topic])
    await _create(admin, settings)


async def _wrong(admin: AIOKafkaAdminClient, name: str) -> list[str] | None:
    """What is wrong with the topic, or ``None`` if that cannot be told yet."""
    partitions = await _partitions(admin, name)
    return None if partitions is None else _differences(partitions, await _configs(admin, name))


async def _create(admin: AIOKafkaAdminClient, settings: IssuerSettings) -> None:
    topic = NewTopic(
        settings.feed_topic,
        num_partitions=FEED.partitions,
        replication_factor=settings.replication_factor,
        topic_configs=dict(FEED.configs),
    )
    response = await admin.create_topics([topic])
    for _, code, *message in response.topic_errors:
        # Somebody else may have been faster; what they made is checked like any other.
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"cannot make the topic {settings.feed_topic}: {' '.join(map(str, message))}")


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


def _differences(partitions: int, configs: Mapping[str, str]) -> list[str]:
    wrong = [
        f"{name} is {configs.get(name)}, not {value}"
        for name, value in FEED.configs.items()
        if configs.get(name) != value
    ]
    if partitions != FEED.partitions:
        wrong.insert(0, f"it has {partitions} partitions, not {FEED.partitions}")
    return wrong
