"""A verifier in FastStream: a handler gets the grant of the message's token, or is never called.

    broker = KafkaBroker("kafka:9092", middlewares=[OstrakaMiddleware(verifier)], acks="all")

    @broker.subscriber("orders", group_id="orders", ack_policy=AckPolicy.ACK, no_reply=True)
    async def take(order: dict, grant: Annotated[Grant, Depends(requires("orders:create"))]) -> None: ...

    app = FastStream(broker, lifespan=...)      # the lifespan runs: async with verifier: yield

The token stands in the header ``authorization: Bearer …``. ``reply_to`` is taken out before FastStream sees it: a
sender must not choose where answers go with our credentials.

**Refused**, for the token's sake or a permission's, also one that the handler itself asks of its grant: the message
goes, byte for byte and with the reason in a header, to ``<topic>.rejected``. That topic must exist, and needs the same
protection as the other: it holds the same tokens. Only when the copy is acknowledged is the message done; publishers of
the handler publish nothing.

What arrives compressed may be too large to be copied, by the producer's ``max_request_size`` or the topic's
``max.message.bytes``. Instead of the copy a **stub** goes there: no value, but ``ostraka-original``
(``topic/partition/offset``) and ``ostraka-sha256`` of the value (hex); the headers and the key of the message only if
they fit. What has neither key nor value, copy or stub, gets an empty value: aiokafka sends nothing less. Where not even
a stub fits, an error is logged and the message is done: anybody can send one, and one that can be neither accepted nor
copied must not stop those behind it. It still stands in its topic.

**Not decided**, because the verifier is not ready or has been without news for too long: not the message's fault. It
waits here up to ``patience`` seconds and is then taken again, as is a message whose copy cannot be written yet. Its
partition waits with it; nothing is lost and nothing accepted. How long is too long, each handler may say for itself:
``requires("orders:create", max_staleness=15)``.

``AckPolicy.ACK``, ``NACK_ON_ERROR``, ``REJECT_ON_ERROR`` and ``MANUAL`` keep these promises: at least once, so a copy
may be written twice. ``ACK_FIRST``, FastStream's default, commits first: if the process ends while a message waits,
that message is lost, as any message would be.

One message, one token, one grant: a batch subscriber gets nowhere and says so with every attempt, as does one whose
broker has no producer (``consumer_only``) once it would have to refuse something.

**Not readable**: what aiokafka cannot decode reaches no middleware. A batch with a codec that is not installed, or with
a header whose name is not UTF-8, stops its partition: nothing is lost or let through, and those behind it wait. Install
``aiokafka[all]`` for the first; docs/how-to/unreadable-messages.md says how to get past the second.

All subscribers of the broker are guarded. For those that must not be, such as one that reads ``<topic>.rejected``, use
another broker, or give the middleware to a ``KafkaRouter`` instead.
"""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, Self

from ostraka_consumers import limits
from ostraka_consumers.errors import (
    ConfigurationError,
    NotReady,
    PermissionDenied,
    Stale,
    VerificationError,
)
from ostraka_consumers.grant import Grant
from ostraka_consumers.protocol import TokenVerifier
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.sources._refusal import name_of
from ostraka_consumers.verifier import Grace
from ostraka_schemas.topics import REJECTED_SUFFIX

from ._bearer import Freshness, checked_freshness, requirement_of, requirement_or_none
from ._message_gate import MessageGate
from ._messages import Headers, harmless, rejection_headers
from ._rejected import reject

try:
    from aiokafka import ConsumerRecord
    from faststream import BaseMiddleware, ContextRepo, StreamMessage
    from faststream.exceptions import IgnoredException

    from ._kafka import mark_done, take_again, writer
except ImportError as error:
    raise ImportError('FastStream is missing: pip install "ostraka-consumers[faststream]"') from error

__all__ = ["OstrakaMiddleware", "current_grant", "requires"]

_log: Final = logging.getLogger("ostraka.faststream")
_current: ContextVar[tuple[Grant, "_MessageMiddleware"]] = ContextVar("ostraka_current")


def current_grant() -> Grant:
    """The grant of the message that is being handled.

    Raises:
        ConfigurationError: no message is being handled under an ``OstrakaMiddleware``.
    """
    return _handled()[0]


def _handled() -> "tuple[Grant, _MessageMiddleware]":
    try:
        return _current.get()
    except LookupError:
        raise ConfigurationError("no grant here: give the broker middlewares=[OstrakaMiddleware(verifier)]") from None


def requires(
    *permissions: str | Requirement, max_staleness: float = math.inf, grace: Grace | None = None
) -> Callable[[], Awaitable[Grant]]:
    """A dependency that lets only messages through whose token has all of ``permissions``, and gives the grant.

    Args:
        permissions: each ``resource:action``, or made by ``all_of`` and ``any_of``.
        max_staleness: seconds without news from the feed that this handler bears, if less than the middleware does;
            beyond it the message waits.
        grace: with ``"until_exp"``, an older token may pass this bound until its end. What the middleware does not
            accept does not come so far: for grace beyond its bound, the middleware has to give it too.

    Raises:
        ConfigurationError: no permission was named, or one is not of the form ``resource:action``, or a bound is none.
            An empty list would let everyone in; for "any good token" there is ``current_grant``.
    """
    requirement = requirement_of(permissions)
    freshness = checked_freshness(max_staleness, grace)

    # A coroutine: FastStream runs dependencies that are none in a thread, for 140 µs each.
    async def permitted() -> Grant:
        grant, message = _handled()
        if freshness.max_staleness != math.inf:
            grant = await message.decide_anew(freshness)
        grant.require(requirement)
        return grant

    return permitted


class OstrakaMiddleware:
    """Verifies every message of a broker or router. Give it to ``KafkaBroker(middlewares=[…])``.

    Args:
        verifier: decides; whoever made it starts and stops it.
        require: permissions that every message needs; left out, any good token will do.
        rejected_topic: where refused messages of a topic go; ``<topic>.rejected`` by default.
        max_staleness: seconds without news from the feed that every handler bears, if less than the verifier's own.
        grace: with ``"until_exp"``, accept tokens until their end while there is no news; see ``Verifier.verify``.
        patience: seconds that a message waits while the verifier cannot decide.
        jitter: picks the pause before a message is taken again, between 0 and its argument.

    Raises:
        ConfigurationError: ``require`` is empty or no permission, or a bound is none.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        require: str | Requirement | Sequence[str | Requirement] | None = None,
        rejected_topic: Callable[[str], str] = lambda topic: topic + REJECTED_SUFFIX,
        max_staleness: float = math.inf,
        grace: Grace | None = None,
        patience: float = limits.MESSAGE_PATIENCE,
        jitter: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311 - no secret
    ) -> None:
        self.verifier: Final = verifier
        self.rejected_topic: Final = rejected_topic
        self._gate: Final = MessageGate(verifier, requirement_or_none(require), checked_freshness(max_staleness, grace))
        self.patience: Final = patience
        self.jitter: Final = jitter

    def __call__(self, msg: Any, /, *, context: ContextRepo) -> "_MessageMiddleware":
        """Called by FastStream for each message."""
        return _MessageMiddleware(self, msg, context)

    def decide(self, headers: Headers) -> Grant:
        """The grant of a message with these headers.

        Raises:
            VerificationError
        """
        return self._gate.decide(headers)

    async def decide_patiently(self, headers: Headers, freshness: Freshness | None = None) -> Grant:
        """The same, but wait while the verifier cannot decide.

        Args:
            freshness: how much staleness is borne; the middleware's own if left out.

        Raises:
            VerificationError: ``NotReady`` and ``Stale`` only after ``patience``.
        """
        return await self._gate.decide_patiently(headers, self.patience, freshness)


class _NotHandled(IgnoredException):
    """Ends the handling of a message that was refused or put off. Goes no further than our own middleware."""


class _RefusedAnew(Exception):
    """A dependency asked once more, and the token was refused."""

    def __init__(self, refusal: VerificationError) -> None:
        super().__init__(refusal.code)
        self.refusal: Final = refusal


class _MessageMiddleware(BaseMiddleware[Any, Any]):
    """One for each message, so it is made of as few calls as can be."""

    __slots__ = ("_headers", "_owner")

    def __init__(self, owner: OstrakaMiddleware, msg: Any, context: ContextRepo) -> None:
        self.msg = msg
        self.context = context
        self._owner = owner
        self._headers: Headers = ()

    async def __aenter__(self) -> Self:
        """Keep the headers as they came, and let FastStream see only those that can do no harm.

        It fails on headers that are no text before anybody can act on the message, and it obeys ``reply_to``.
        """
        if isinstance(self.msg, ConsumerRecord):
            self._headers = self.msg.headers
            self.msg.headers = harmless(self.msg.headers)
        elif isinstance(self.msg, tuple | list):
            for record in self.msg:
                record.headers = harmless(record.headers)
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None = None, *_details: object) -> bool:
        """Let nobody further out mistake a refusal for a failure."""
        return exc_type is _NotHandled

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        record = msg.raw_message
        if not isinstance(record, ConsumerRecord):
            raise await self._unusable(msg, "batch subscribers are not supported: one message, one token, one grant")
        try:
            grant = self._owner.decide(self._headers)
        except (NotReady, Stale):
            grant = await self._wait(msg)
        except VerificationError as error:
            raise await self._refuse(record, msg, error) from error
        token = _current.set((grant, self))
        try:
            return await call_next(msg)
        except (NotReady, Stale) as error:
            raise await self._put_off(msg, f"the verifier cannot decide: {error}") from error
        except (PermissionDenied, _RefusedAnew) as error:
            refusal = error.refusal if isinstance(error, _RefusedAnew) else error
            raise await self._refuse(record, msg, refusal) from error
        finally:
            _current.reset(token)

    async def decide_anew(self, freshness: Freshness) -> Grant:
        """The same once more, for a handler that bears less staleness.

        Raises:
            NotReady, Stale: the message is to be taken again.
            _RefusedAnew: what was good is so no more.
        """
        try:
            return await self._owner.decide_patiently(self._headers, freshness)
        except (NotReady, Stale):
            raise
        except VerificationError as error:
            raise _RefusedAnew(error) from error

    async def _wait(self, msg: StreamMessage[Any]) -> Grant:
        try:
            return await self._owner.decide_patiently(self._headers)
        except (NotReady, Stale) as error:
            raise await self._put_off(msg, f"the verifier cannot decide: {error}") from error
        except VerificationError as error:
            raise await self._refuse(msg.raw_message, msg, error) from error

    async def _refuse(
        self, record: "ConsumerRecord[Any, Any]", msg: StreamMessage[Any], error: VerificationError
    ) -> Exception:
        topic = self._owner.rejected_topic(record.topic)
        try:
            await self._write(topic, record, error)
        except ConfigurationError as failure:
            return await self._unusable(msg, str(failure))
        except Exception as failure:  # noqa: BLE001 - whatever it is, there is no copy
            return await self._put_off(msg, f"cannot write to {topic}: {name_of(failure)}")
        _log.info("refused %s[%d] at offset %d: %s", record.topic, record.partition, record.offset, error.code)
        await mark_done(msg)
        return _NotHandled()

    async def _write(self, topic: str, record: "ConsumerRecord[Any, Any]", error: VerificationError) -> None:
        """A copy, a stub if it is too large, or nothing if even that is: see above.

        Raises:
            ConfigurationError, Exception: not written, and another attempt may succeed.
        """
        added = rejection_headers(error.code, self._owner.verifier.clock.now().wall)
        await reject(writer(self.context), record, self._headers, topic, added, _log)

    async def _put_off(self, msg: StreamMessage[Any], reason: str) -> Exception:
        _log.warning("a message will be taken again: %s", reason)
        await asyncio.sleep(self._owner.jitter(limits.MESSAGE_PAUSE_MAX))
        await take_again(msg)
        return _NotHandled()

    async def _unusable(self, msg: StreamMessage[Any], reason: str) -> Exception:
        """For FastStream to show. Its StopConsume would leave the consumer open, and in its group."""
        await self._put_off(msg, reason)
        return ConfigurationError(reason)
