"""A verifier in front of a plain aiokafka consumer: each message comes with its sender's grant, or not at all.

    async with verifier, consumer, producer:
        async for record, grant in secured(consumer, verifier, producer=producer, requires="orders:create"):
            ...

The token stands in the header ``authorization: Bearer …``. A message that is **refused** goes, byte for byte and with
the reason in a header, to ``<topic>.rejected``; what is too large for a copy leaves a stub there, as it does with
``ostraka_consumers.integrations.faststream``, where all of this is told in full. That topic must exist, and needs the
same protection as the other: it holds the same tokens.

While the verifier **cannot decide**, because it is not ready or without news for too long, the message waits up to
``patience`` seconds and is then taken again, as is one whose copy cannot be written yet. Its partition waits with it.

Offsets stay the consumer's business. With ``enable_auto_commit``, aiokafka's default, a message may be committed before
it was handled; commit after the body yourself where none may be lost. A refused message is committed with the next.

What the body itself asks of the grant and is denied is the body's to deal with. For work that goes on for long there is
``async with grant.watched()``.
"""

import asyncio
import logging
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError

from ostraka_consumers import limits
from ostraka_consumers.errors import ConfigurationError, NotReady, Stale, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.protocol import TokenVerifier
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.sources._refusal import name_of
from ostraka_consumers.verifier import Grace
from ostraka_schemas.topics import REJECTED_SUFFIX

from ._bearer import checked_freshness, requirement_or_none
from ._message_gate import MessageGate
from ._messages import Headers, rejection_headers
from ._rejected import reject, send

__all__ = ["secured"]

_log: Final = logging.getLogger("ostraka.aiokafka")


def secured(
    consumer: AIOKafkaConsumer,
    verifier: TokenVerifier,
    *,
    producer: AIOKafkaProducer,
    requires: str | Requirement | Sequence[str | Requirement] | None = None,
    rejected_topic: Callable[[str], str] = lambda topic: topic + REJECTED_SUFFIX,
    max_staleness: float = math.inf,
    grace: Grace | None = None,
    patience: float = limits.MESSAGE_PATIENCE,
    jitter: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311 - no secret
) -> "AsyncIterator[tuple[ConsumerRecord[bytes, bytes], Grant]]":
    """The messages of ``consumer`` that may pass, each with its grant, until it is stopped.

    Args:
        consumer: started, subscribed or assigned, and without deserializers: copies are made of bytes.
        verifier: decides; whoever made it starts and stops it.
        producer: started; writes what was refused. Give it ``acks="all"``.
        requires: what the sender of every message must be allowed; left out, any good token will do.
        rejected_topic: where refused messages of a topic go; ``<topic>.rejected`` by default.
        max_staleness: seconds without news from the feed that are borne, if less than the verifier's own.
        grace: with ``"until_exp"``, accept tokens until their end while there is no news; see ``Verifier.verify``.
        patience: seconds that a message waits while the verifier cannot decide.
        jitter: picks the pause before a message is taken again, between 0 and its argument.

    Raises:
        ConfigurationError: ``requires`` is empty or no permission, or a bound is none; while iterating: the consumer
            deserializes. What ``async for record in consumer`` raises, this does as well.
    """
    gate = MessageGate(verifier, requirement_or_none(requires), checked_freshness(max_staleness, grace))
    return _Secured(consumer, gate, producer, rejected_topic, patience, jitter).messages()


class _Secured:
    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        gate: MessageGate,
        producer: AIOKafkaProducer,
        rejected_topic: Callable[[str], str],
        patience: float,
        jitter: Callable[[float], float],
    ) -> None:
        self._consumer: Final = consumer
        self._gate: Final = gate
        self._producer: Final = producer
        self._rejected_topic: Final = rejected_topic
        self._patience: Final = patience
        self._jitter: Final = jitter

    async def messages(self) -> "AsyncIterator[tuple[ConsumerRecord[bytes, bytes], Grant]]":
        async for record in self._consumer:
            for given in (record.key, record.value):
                if given is not None and not isinstance(given, bytes):
                    raise ConfigurationError("secured() needs a consumer without deserializers: copies are of bytes")
            grant = await self._decide(record)
            if grant is not None:
                yield record, grant

    async def _decide(self, record: "ConsumerRecord[bytes, bytes]") -> Grant | None:
        try:
            return await self._gate.decide_patiently(record.headers, self._patience)
        except (NotReady, Stale) as error:
            await self._put_off(record, f"the verifier cannot decide: {error}")
        except VerificationError as refusal:
            await self._refuse(record, refusal)
        return None

    async def _refuse(self, record: "ConsumerRecord[bytes, bytes]", refusal: VerificationError) -> None:
        topic = self._rejected_topic(record.topic)
        added = rejection_headers(refusal.code, self._gate.verifier.clock.now().wall)
        try:
            await reject(self._write, record, record.headers, topic, added, _log)
        except Exception as failure:  # noqa: BLE001 - whatever it is, there is no copy
            await self._put_off(record, f"cannot write to {topic}: {name_of(failure)}")
        else:
            _log.info("refused %s[%d] at offset %d: %s", record.topic, record.partition, record.offset, refusal.code)

    async def _write(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        await send(self._producer, topic, key, value, headers)

    async def _put_off(self, record: "ConsumerRecord[Any, Any]", reason: str) -> None:
        _log.warning("a message will be taken again: %s", reason)
        await asyncio.sleep(self._jitter(limits.MESSAGE_PAUSE_MAX))
        try:
            self._consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
        except IllegalStateError:
            _log.info("%s[%d] went to another consumer meanwhile", record.topic, record.partition)
