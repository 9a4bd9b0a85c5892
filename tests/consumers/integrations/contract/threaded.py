"""Synchronous code: a verifier that owns a thread, as Flask and the like use it, and confluent-kafka on top of it."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from confluent_kafka import TopicPartition

from ostraka_consumers import VerificationError, Verifier
from ostraka_consumers.integrations._threaded import Threaded
from ostraka_consumers.integrations.confluent import secured
from ostraka_consumers.integrations.threads import MultiIssuerThreadVerifier, ThreadVerifier, answer_to
from tests.support.fake_issuer import FakeIssuer
from tests.support.several import PARTNER
from tests.support.verifiers import ListSource

from .driver import Call, Driver, Headers, Parts, Said
from .messages import WAITS, refusal


class ThreadStand(ThreadVerifier):
    """A verifier in a thread, fed by hand."""

    def __init__(self, issuer: FakeIssuer) -> None:
        if not issuer.records:
            issuer.open()
        source = ListSource([*issuer.records, issuer.heartbeat()])
        super().__init__(issuer.anchor, audience="orders", sources=[source], clock=issuer.clock, ready_timeout=5)

    def deliver(self, raw: bytes) -> object:
        """Take a record in the thread that all others are taken in, and wait until that is done."""
        return taken(self, self._verifier, raw)

    async def stop(self) -> None:  # type: ignore[override]
        await asyncio.to_thread(super().stop)


class SeveralStand(MultiIssuerThreadVerifier):
    """The same among the verifiers of several issuers."""

    def __init__(self, issuer: FakeIssuer) -> None:
        other = FakeIssuer(clock=issuer.clock, issuer=PARTNER)
        other.token_key = issuer.token_key
        self.fed = ThreadStand(issuer)
        super().__init__([ThreadStand(other), self.fed])

    def deliver(self, raw: bytes) -> object:
        return taken(self, self.fed._verifier, raw)

    async def stop(self) -> None:  # type: ignore[override]
        await asyncio.to_thread(super().stop)


Stand = TypeVar("Stand", ThreadStand, SeveralStand)


def taken(thread: Threaded, verifier: Verifier, raw: bytes) -> object:
    assert thread._life is not None

    async def take() -> object:
        return verifier.deliver(raw)

    return asyncio.run_coroutine_threadsafe(take(), thread._life.loop).result(10)


def in_a_thread(issuer: FakeIssuer) -> AbstractAsyncContextManager[ThreadStand]:
    return _started(ThreadStand(issuer))


def in_a_thread_among_others(issuer: FakeIssuer) -> AbstractAsyncContextManager[SeveralStand]:
    return _started(SeveralStand(issuer))


@asynccontextmanager
async def _started(stand: Stand) -> AsyncIterator[Stand]:
    await asyncio.to_thread(stand.start)
    try:
        yield stand
    finally:
        await stand.stop()


@asynccontextmanager
async def serve_threads(verifier: Threaded, parts: Parts) -> AsyncIterator[Call]:
    with contextlib.suppress(VerificationError):
        verifier.authorize("Bearer x", requires=parts)  # says what is wrong with them before it looks at the token

    def handle(headers: Headers) -> Said:
        values = [value.decode("latin-1") for name, value in headers if name.lower() == "authorization"]
        try:
            return Said(subject=verifier.authorize(values, requires=parts).subject)
        except VerificationError as error:
            return Said(code=error.code, text=repr(answer_to(error)))

    async def call(headers: Headers) -> Said:
        return await asyncio.to_thread(handle, headers)

    yield call


class FakeMessage:
    """A message as confluent-kafka gives it."""

    def __init__(self, headers: Headers) -> None:
        self._headers = list(headers)

    def error(self) -> None:
        return None

    def headers(self) -> Any:
        return self._headers

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b'{"order": 1}'


class FakeClient:
    """Both consumer and producer."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[FakeMessage] = queue.Queue()
        self.said: queue.Queue[Said] = queue.Queue()

    def poll(self, timeout: float) -> FakeMessage | None:
        try:
            return self.waiting.get(timeout=min(timeout, 0.02))
        except queue.Empty:
            return None

    def seek(self, partition: TopicPartition) -> None:
        assert (partition.topic, partition.partition, partition.offset) == ("orders", 0, 7)
        self.said.put(WAITS)

    def produce(
        self, topic: str, *, value: Any, key: Any, headers: Sequence[tuple[str, bytes | None]], on_delivery: Any
    ) -> None:
        assert (key, value) == (b"key", b'{"order": 1}')
        self.said.put(refusal(topic, headers))
        on_delivery(None, None)


@asynccontextmanager
async def serve_confluent(verifier: Threaded, parts: Parts) -> AsyncIterator[Call]:
    client: Any = FakeClient()
    stop = threading.Event()
    messages = secured(
        client, verifier, producer=client, requires=parts, patience=0.0, jitter=lambda most: 0.0, stop=stop
    )

    def handle() -> None:
        for _, grant in messages:
            client.said.put(Said(subject=grant.subject))

    async def call(headers: Headers) -> Said:
        client.waiting.put(FakeMessage(headers))
        said: Said = await asyncio.to_thread(client.said.get, timeout=10)
        assert client.said.empty()
        return said

    handling = asyncio.create_task(asyncio.to_thread(handle))
    try:
        yield call
    finally:
        stop.set()
        await handling


THREADED = [
    Driver("threads", serve_threads, on_a_loop=False, stand=in_a_thread),
    Driver("confluent", serve_confluent, waits=True, other_scheme="malformed", on_a_loop=False, stand=in_a_thread),
]
