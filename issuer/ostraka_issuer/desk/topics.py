"""The orders services' own topics. The feed's topic is the issuer's business."""

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from .errors import DeskError

REQUEST_SECONDS = 10.0


async def create_topics(kafka: str, names: Sequence[str]) -> None:
    """Create topics of one partition and one replica; those that are there stay as they are.

    Raises:
        DeskError: the broker does not answer or refuses.
    """
    admin = _admin(kafka)
    try:
        await admin.start()
        topics = [NewTopic(name, num_partitions=1, replication_factor=1) for name in names]
        response = await admin.create_topics(topics)
        for name, code, *_ in response.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                raise DeskError(f"the Kafka at {kafka} does not make the topic {name}: {for_code(code).__name__}")
    except (KafkaError, OSError, TimeoutError) as error:
        raise DeskError(f"the Kafka at {kafka} does not answer: {type(error).__name__}") from error
    finally:
        await admin.close()


async def delete_topics(kafka: str, names: Sequence[str]) -> None:
    """Delete topics, as far as they are there.

    Raises:
        DeskError: the broker does not answer.
    """
    admin = _admin(kafka)
    try:
        await admin.start()
        there = set(await admin.list_topics())
        if doomed := [name for name in names if name in there]:
            await admin.delete_topics(doomed)
    except (KafkaError, OSError, TimeoutError) as error:
        raise DeskError(f"the Kafka at {kafka} does not answer: {type(error).__name__}") from error
    finally:
        await admin.close()


def _admin(kafka: str) -> AIOKafkaAdminClient:
    return AIOKafkaAdminClient(bootstrap_servers=kafka, request_timeout_ms=int(REQUEST_SECONDS * 1000))
