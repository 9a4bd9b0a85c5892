"""A verifier in front of a confluent-kafka consumer: each message comes with its sender's grant, or not at all.

    with verifier:                                                  # a ThreadVerifier
        for message, grant in secured(consumer, verifier, producer=producer, requires="orders:create", stop=stop):
            ...

All of it happens in the thread that iterates, whose own the consumer is. What becomes of a message that is **refused**
(a copy or a stub in ``<topic>.rejected``) or **cannot be decided** yet (it waits, and its partition with it) is as with
``ostraka_consumers.integrations.aiokafka``, whose words on offsets hold here, too. A message whose headers cannot be
read, because a name is not UTF-8, is refused as malformed; its copy lacks them and says where it came from.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from operator import methodcaller
from typing import Final, NamedTuple, cast

from ostraka_consumers import limits
from ostraka_consumers.errors import Malformed, NotReady, Stale, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.verifier import Grace
from ostraka_schemas.topics import REJECTED_SUFFIX

from ._bearer import Freshness, checked_freshness, requirement_or_none
from ._messages import Headers, bearer_token, rejection_headers, stub_headers, stubs
from ._threaded import Threaded

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
except ImportError as error:
    raise ImportError('confluent-kafka is missing: pip install "ostraka-consumers[confluent]"') from error

__all__ = ["secured"]

_log: Final = logging.getLogger("ostraka.confluent")
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE})
_headers_of: Final = methodcaller("headers")
"""``message.headers()``, safely: where a header's name is not UTF-8, confluent-kafka 2.16 sets an exception and yet
gives a list, with holes in it that end the process of whoever looks into one. Called like this, Python notices in time,
with a SystemError; called as usual, not once the interpreter has specialized the call. It may be asked only once."""

_POLL: Final = 0.5
"""Seconds after which the consumer looks whether it is to stop."""


class _TooLarge(Exception):
    """No later attempt makes the message smaller."""


class _NotWritten(Exception):
    """Another attempt may succeed."""


def secured(
    consumer: Consumer,
    verifier: Threaded,
    *,
    producer: Producer,
    requires: str | Requirement | Sequence[str | Requirement] | None = None,
    rejected_topic: Callable[[str], str] = lambda topic: topic + REJECTED_SUFFIX,
    max_staleness: float = math.inf,
    grace: Grace | None = None,
    patience: float = limits.MESSAGE_PATIENCE,
    jitter: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311 - no secret
    stop: threading.Event | None = None,
) -> Iterator[tuple[Message, Grant]]:
    """The messages of ``consumer`` that may pass, each with its grant, until ``stop`` is set.

    Args:
        consumer: subscribed or assigned.
        verifier: a ``ThreadVerifier`` or ``MultiIssuerThreadVerifier``; whoever made it starts and stops it.
        producer: writes what was refused. ``acks=all`` is its default.
        requires: what the sender of every message must be allowed; left out, any good token will do.
        rejected_topic: where refused messages of a topic go; ``<topic>.rejected`` by default.
        max_staleness: seconds without news from the feed that are borne, if less than the verifier's own.
        grace: with ``"until_exp"``, accept tokens until their end while there is no news; see ``Verifier.verify``.
        patience: seconds that a message waits while the verifier cannot decide.
        jitter: picks the pause before a message is taken again, between 0 and its argument.
        stop: ends the iteration within half a second; the message that waits then is not lost, but not committed.

    Raises:
        ConfigurationError: ``requires`` is empty or no permission, or a bound is none.
        confluent_kafka.KafkaException: while iterating: the consumer got an error instead of a message.
    """
    gate = _Gate(verifier, requirement_or_none(requires), checked_freshness(max_staleness, grace))
    return _Secured(consumer, gate, producer, rejected_topic, patience, jitter, stop or threading.Event()).messages()


class _Gate(NamedTuple):
    verifier: Threaded
    requirement: Requirement | None
    freshness: Freshness

    def decide(self, headers: Headers) -> Grant:
        max_staleness, grace = self.freshness
        grant = self.verifier.verify(bearer_token(headers), max_staleness=max_staleness, grace=grace)
        if self.requirement is not None:
            grant.require(self.requirement)
        return grant


class _Secured:
    def __init__(
        self,
        consumer: Consumer,
        gate: _Gate,
        producer: Producer,
        rejected_topic: Callable[[str], str],
        patience: float,
        jitter: Callable[[float], float],
        stop: threading.Event,
    ) -> None:
        self._consumer: Final = consumer
        self._gate: Final = gate
        self._producer: Final = producer
        self._rejected_topic: Final = rejected_topic
        self._patience: Final = patience
        self._jitter: Final = jitter
        self._stop: Final = stop

    def messages(self) -> Iterator[tuple[Message, Grant]]:
        while not self._stop.is_set():
            message = self._consumer.poll(_POLL)
            if message is None:
                continue
            error = message.error()
            if error is None:
                grant = self._decide(message)
                if grant is not None:
                    yield message, grant
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name begins so
                raise KafkaException(error)

    def _decide(self, message: Message) -> Grant | None:
        try:
            headers = cast("Headers", _headers_of(message) or ())
        except (UnicodeDecodeError, SystemError):
            self._refuse(message, (), Malformed("the name of a header is not UTF-8"), where=True)
            return None
        try:
            return self._decide_patiently(headers)
        except (NotReady, Stale) as error:
            self._put_off(message, f"the verifier cannot decide: {error}")
        except VerificationError as refusal:
            self._refuse(message, headers, refusal)
        return None

    def _decide_patiently(self, headers: Headers) -> Grant:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._gate.decide(headers)
            except (NotReady, Stale):
                if time.monotonic() >= deadline or self._stop.wait(limits.MESSAGE_LOOK):
                    raise

    def _refuse(self, message: Message, headers: Headers, refusal: VerificationError, *, where: bool = False) -> None:
        topic = self._rejected_topic(_topic(message))
        added = rejection_headers(refusal.code, self._gate.verifier.clock.now().wall)
        try:
            self._reject(message, topic, headers, [*(_found(message) if where else ()), *added])
        except _NotWritten as failure:
            self._put_off(message, f"cannot write to {topic}: {failure}")
        else:
            _log.info("refused %s: %s", _where(message), refusal.code)

    def _reject(self, message: Message, topic: str, headers: Headers, added: Headers) -> None:
        """Write a copy, a stub if it is too large, or only a line in the log if even that is."""
        try:
            self._write(topic, message.key(), message.value(), [*headers, *added])
        except _TooLarge:
            for key, kept in stubs(_bytes(message.key()), headers, [*added, *_found(message)]):
                try:
                    self._write(topic, key, None, kept)
                except _TooLarge:
                    continue
                _log.warning("refused %s, too large for %s: a stub was written there", _where(message), topic)
                return
            _log.error("refused %s, but %s takes not even a stub", _where(message), topic)

    def _write(self, topic: str, key: str | bytes | None, value: str | bytes | None, headers: Headers) -> None:
        """Write one message and wait until that is acknowledged.

        Raises:
            _TooLarge, _NotWritten
        """
        told: list[KafkaError | None] = []
        try:
            self._producer.produce(
                topic,
                value=value,
                key=key,
                headers=list(headers),
                on_delivery=lambda error, _message: told.append(error),
            )
        except KafkaException as error:
            _raise(error.args[0])
        except BufferError as error:
            self._producer.poll(0)
            raise _NotWritten("the producer's queue is full") from error
        deadline = time.monotonic() + limits.MESSAGE_WRITE_MAX
        while not told:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _NotWritten("not acknowledged in time")
            self._producer.poll(min(left, _POLL))
        if told[0] is not None:
            _raise(told[0])

    def _put_off(self, message: Message, reason: str) -> None:
        _log.warning("a message will be taken again: %s", reason)
        self._stop.wait(self._jitter(limits.MESSAGE_PAUSE_MAX))
        try:
            self._consumer.seek(TopicPartition(_topic(message), message.partition() or 0, message.offset() or 0))
        except KafkaException as error:
            _log.info("%s cannot be taken again here: %s", _where(message), error.args[0])


def _raise(error: KafkaError) -> None:
    raise (_TooLarge if error.code() in _TOO_LARGE else _NotWritten)(error.name())


def _topic(message: Message) -> str:
    return message.topic() or ""


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _where(message: Message) -> str:
    return f"{message.topic()}[{message.partition()}] at offset {message.offset()}"


def _found(message: Message) -> Headers:
    return stub_headers(_topic(message), message.partition() or 0, message.offset() or 0, _bytes(message.value()))
