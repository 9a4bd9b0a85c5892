"""Orders and requests, a few milliseconds apart, each with a token, each noted with what became of it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_issuer.desk.orders.settings import OrdersSettings
from ostraka_schemas.topics import REJECTED_SUFFIX

from .attempts import Attempt, Notes, Verdict

HANDLER: Final = "orders handler"
REASON_HEADER: Final = "ostraka-reason"
_REFUSALS: Final = (401, 403)
_REQUEST_SECONDS: Final = 5.0


@dataclass(slots=True)
class Holder:
    """Somebody with a token; ``number`` counts their tokens."""

    name: str
    access_token: str = field(repr=False)
    number: int = 1

    def renew(self, access_token: str) -> None:
        """Carry another token from now on."""
        self.access_token = access_token
        self.number += 1

    def keep(self) -> "Holder":
        """A copy that keeps the token of this moment."""
        return Holder(self.name, self.access_token, self.number)


Send = Callable[[Holder], Awaitable[int]]


class Web:
    """Asks a web service."""

    def __init__(self, name: str, url: str, notes: Notes) -> None:
        self.name: Final = name
        self._notes = notes
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=_REQUEST_SECONDS)

    async def order(self, holder: Holder) -> int:
        """Place an order."""
        return await self._ask(holder, "orders:create", "POST", "/orders", {"order": len(self._notes)})

    async def report(self, holder: Holder) -> int:
        """Read a report."""
        return await self._ask(holder, "reports:read", "GET", "/reports", None)

    async def _ask(self, holder: Holder, permission: str, method: str, path: str, body: dict[str, Any] | None) -> int:
        headers = {"Authorization": f"Bearer {holder.access_token}"}
        number = self._notes.take(Attempt(self.name, permission, holder.name, holder.number, time.time()))
        try:
            answer = await self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            self._notes.settle(number, Verdict.FAILED, time.time(), type(error).__name__)
            return number
        seen_at = time.time()
        if answer.is_success:
            self._notes.settle(number, Verdict.ACCEPTED, seen_at)
        else:
            verdict = Verdict.REFUSED if answer.status_code in _REFUSALS else Verdict.FAILED
            self._notes.settle(number, verdict, seen_at, _code(answer))
        return number

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"


class Events:
    """Sends events to the handler, and reads what it did with them.

    Kafka clients are made by ``open`` and may be made anew: after the embedded broker came back, everything is.
    """

    def __init__(self, settings: OrdersSettings, notes: Notes) -> None:
        self.name: Final = HANDLER
        self._settings = settings
        self._notes = notes
        self._producer: AIOKafkaProducer | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            KafkaError: there is no broker.
        """
        self._producer = AIOKafkaProducer(bootstrap_servers=self._settings.kafka, acks="all")
        await self._producer.start()
        consumer = AIOKafkaConsumer(
            self._settings.done,
            f"{self._settings.orders}{REJECTED_SUFFIX}",
            f"{self._settings.reports}{REJECTED_SUFFIX}",
            bootstrap_servers=self._settings.kafka,
            # Everything anew after a restart; a verdict seen twice counts once.
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._settings.fetch_wait_ms,
        )
        await consumer.start()
        self._reading = asyncio.create_task(self._read(consumer), name="outcomes of events")

    async def close(self) -> None:
        """Disconnect, also from a broker that is gone."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
        if self._producer is not None:
            await safe_stop(self._producer, 1.0)
            self._producer = None

    async def order(self, holder: Holder) -> int:
        """Send an order."""
        return await self._send(holder, "orders:create", self._settings.orders)

    async def report(self, holder: Holder) -> int:
        """Ask for a report."""
        return await self._send(holder, "reports:read", self._settings.reports)

    async def _send(self, holder: Holder, permission: str, topic: str) -> int:
        number = self._notes.take(Attempt(HANDLER, permission, holder.name, holder.number, time.time()))
        if self._producer is None:
            self._notes.settle(number, Verdict.FAILED, time.time(), "no broker")
            return number
        headers = [("authorization", f"Bearer {holder.access_token}".encode())]
        try:
            await self._producer.send_and_wait(topic, json.dumps({"order": number}).encode(), headers=headers)
        except KafkaError as error:
            self._notes.settle(number, Verdict.FAILED, time.time(), type(error).__name__)
        return number

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                batches = await consumer.getmany(timeout_ms=1_000)
                seen_at = time.time()
                for partition, records in batches.items():
                    for record in records:
                        self._note(partition.topic, record, seen_at)
        finally:
            await safe_stop(consumer, 1.0)

    def _note(self, topic: str, record: Any, seen_at: float) -> None:
        number = json.loads(record.value)["order"]
        if topic == self._settings.done:
            self._notes.settle(number, Verdict.ACCEPTED, seen_at)
            return
        reason = dict(record.headers).get(REASON_HEADER, b"?").decode()
        self._notes.settle(number, Verdict.REFUSED, seen_at, reason)


class Streams:
    """Senders that go on until they are stopped, each with a pause after each answer."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def add(self, send: Send, holder: Holder, pause: float) -> None:
        """Start a stream."""
        self._tasks.append(asyncio.create_task(self._stream(send, holder, pause), name="stream"))

    async def stop(self) -> None:
        """End all streams; what is on its way still gets its answer. Raises whatever ended one by itself."""
        self._stopping = True
        try:
            await asyncio.gather(*self._tasks)
        finally:
            self._tasks.clear()
            self._stopping = False

    async def _stream(self, send: Send, holder: Holder, pause: float) -> None:
        while not self._stopping:
            await send(holder)
            await asyncio.sleep(pause)
