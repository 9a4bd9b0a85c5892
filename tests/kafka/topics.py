"""Creating and deleting topics, with errors that are raised: aiokafka's admin client only returns them."""

from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code


async def create_topic(
    bootstrap: str, name: str, *, partitions: int = 1, configs: Mapping[str, str] | None = None
) -> None:
    """Creates a topic with one replica; raises aiokafka's error if the broker refuses."""
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=dict(configs or {}))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        response = await admin.create_topics([topic])
    finally:
        await admin.close()
    for error in response.topic_errors:
        if error[1] != 0:
            raise for_code(error[1])(f"cannot create topic {name}: {error[2:]}")


async def delete_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Deletes the topics; those that are gone already do not matter."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()
