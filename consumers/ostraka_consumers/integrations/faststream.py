"""A verifier in FastStream: a handler gets the grant of the message's token, or is never called.

    broker = KafkaBroker("kafka:9092", middlewares=[OstrakaMiddleware(verifier)], acks="all")

    @broker.subscriber("orders", group_id="orders", ack_policy=AckPolicy.ACK, no_reply=True)
    async def take(order: dict, grant: Annotated[Grant, Depends(requires("orders:create"))]) -> None: ...

    app = FastStream(broker, lifespan=...)      # the lifespan runs: async with verifier: yield

What is refused goes, byte for byte and with the reason in a header, to ``<topic>.rejected``, which must exist; only
when that copy is acknowledged is the message acknowledged. If it cannot be written, the message is taken again later.

If the verifier itself cannot decide (not ready, or without news for too long), that is not the message's fault: it
waits here up to ``patience`` seconds, then is taken again, and is never refused for it.

``AckPolicy.ACK``, ``NACK_ON_ERROR`` and ``MANUAL`` keep these promises. ``ACK_FIRST``, FastStream's default, commits
before anything is done: if the process ends then, the message is lost. Batch subscribers are not supported.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from random import SystemRandom
from typing import Any, Final

from ostraka_consumers.errors import ConfigurationError, NotReady, SourceError, Stale, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.verifier import Verifier
from ostraka_schemas.topics import REJECTED_SUFFIX

from ._bearer import check_permissions, check_requirement
from ._messages import Headers, bearer_token, harmless, rejection_headers

try:
    from aiokafka import AIOKafkaProducer, ConsumerRecord
    from faststream import BaseMiddleware, ContextRepo, StreamMessage
    from faststream.exceptions import NackMessage
except ImportError as error:
    raise ImportError('FastStream is missing: pip install "ostraka-consumers[faststream]"') from error

PATIENCE: Final = 30.0
"""Seconds a message waits here for a verifier that cannot decide; well below Kafka's max.poll.interval of 300 s."""

_LOOK: Final = 0.1
_PAUSE_MAX: Final = 5.0
"""Seconds before a message that could not be rejected is taken again, at most; chance spreads them."""

_log: Final = logging.getLogger("ostraka.faststream")
_grant: ContextVar[Grant] = ContextVar("ostraka_grant")
_random: Final = SystemRandom()


def current_grant() -> Grant:
    """The grant of the message that is being handled.

    Raises:
        ConfigurationError: no message is being handled under an ``OstrakaMiddleware``.
    """
    try:
        return _grant.get()
    except LookupError:
        raise ConfigurationError("no grant here: give the broker middlewares=[OstrakaMiddleware(verifier)]") from None


def requires(*permissions: str) -> Callable[[], Awaitable[Grant]]:
    """A dependency that lets only messages through whose token has all of ``permissions``, and gives the grant.

    Raises:
        ConfigurationError: no permission was named, or one is not of the form ``resource:action``. An empty list would
            let everyone in; for "any good token" there is ``current_grant``.
    """
    check_requirement(permissions)

    # A coroutine: FastStream runs dependencies that are none in a thread, for 140 µs each.
    async def permitted() -> Grant:
        grant = current_grant()
        for permission in permissions:
            grant.require(permission)
        return grant

    return permitted


class OstrakaMiddleware:
    """Verifies every message of a broker. Give it to ``KafkaBroker(middlewares=[…])``.

    Args:
        verifier: decides; whoever made it starts and stops it.
        require: permissions that every message needs.
        rejected_topic: where refused messages of a topic go; ``<topic>.rejected`` by default.
        patience: seconds that a message waits while the verifier cannot decide.

    Raises:
        ConfigurationError: a permission is not of the form ``resource:action``.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        require: tuple[str, ...] = (),
        rejected_topic: Callable[[str], str] = lambda topic: topic + REJECTED_SUFFIX,
        patience: float = PATIENCE,
    ) -> None:
        check_permissions(require)
        self.verifier = verifier
        self.require = require
        self.rejected_topic = rejected_topic
        self.patience = patience

    def __call__(self, msg: Any, /, *, context: ContextRepo) -> "_MessageMiddleware":
        """Called by FastStream for each message."""
        return _MessageMiddleware(self, msg, context)

    def decide(self, headers: Headers) -> Grant:
        """The grant of a message with these headers.

        Raises:
            VerificationError
        """
        grant = self.verifier.verify(bearer_token(headers))
        for permission in self.require:
            grant.require(permission)
        return grant

    async def decide_patiently(self, headers: Headers) -> Grant:
        """The same, but wait while the verifier cannot decide.

        Raises:
            VerificationError: ``NotReady`` and ``Stale`` only after ``patience``.
        """
        deadline = asyncio.get_running_loop().time() + self.patience
        while True:
            try:
                return self.decide(headers)
            except (NotReady, Stale):
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(_LOOK)


class _MessageMiddleware(BaseMiddleware[Any, Any]):
    def __init__(self, owner: OstrakaMiddleware, msg: Any, context: ContextRepo) -> None:
        super().__init__(msg, context=context)
        self._owner = owner
        self._headers: Headers = ()

    async def on_receive(self) -> None:
        record = self.msg
        if isinstance(record, ConsumerRecord):
            self._headers = record.headers
            disarmed = harmless(record.headers)
            if len(disarmed) != len(record.headers):
                # FastStream fails on headers that are no text before anyone can act, and obeys reply_to. The record is
                # frozen, but ours alone; its headers as they came are kept above.
                object.__setattr__(record, "headers", disarmed)

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        record = msg.raw_message
        if not isinstance(record, ConsumerRecord):
            raise ConfigurationError("batch subscribers are not supported: one message, one token, one grant")
        try:
            token = _grant.set(await self._owner.decide_patiently(self._headers))
        except (NotReady, Stale) as error:
            raise await self._again(f"the verifier cannot decide: {error}") from error
        except VerificationError as error:
            return await self._reject(record, msg, error)
        try:
            return await call_next(msg)
        except VerificationError as error:
            return await self._reject(record, msg, error)
        finally:
            _grant.reset(token)

    async def _reject(
        self, record: "ConsumerRecord[Any, Any]", msg: StreamMessage[Any], error: VerificationError
    ) -> None:
        topic = self._owner.rejected_topic(record.topic)
        headers = rejection_headers(self._headers, error.code, self._owner.verifier.clock.now().wall)
        producer = _raw_producer(self.context)
        try:
            await producer.send_and_wait(topic, value=record.value, key=record.key, headers=headers)
        except Exception as failure:
            raise await self._again(f"cannot write to {topic}: {type(failure).__name__}: {failure}") from failure
        _log.info("refused a message of %s at offset %d: %s", record.topic, record.offset, error.code)
        await msg.ack()

    async def _again(self, reason: str) -> NackMessage:
        _log.warning("a message will be taken again: %s", reason)
        await asyncio.sleep(_random.uniform(0, _PAUSE_MAX))
        return NackMessage()


def _raw_producer(context: ContextRepo) -> AIOKafkaProducer:
    """aiokafka's producer under FastStream's broker: FastStream's own has headers of text only, each name once."""
    broker = context.get("broker")
    try:
        producer = broker.config.producer._producer.producer  # noqa: SLF001 - there is no public way
    except AttributeError as error:
        raise SourceError("no Kafka producer in this broker: refused messages cannot be handed on") from error
    if not isinstance(producer, AIOKafkaProducer):
        raise SourceError("no Kafka producer in this broker: refused messages cannot be handed on")
    return producer
