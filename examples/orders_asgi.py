"""No framework but ASGI: who has a good token hears of orders as they come, until the token ends.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_asgi.py
"""

import asyncio
import json
import os
from typing import Any

import uvicorn

from ostraka_consumers import TrustAnchor, Verifier
from ostraka_consumers.integrations.asgi import OstrakaMiddleware, grant_of
from ostraka_consumers.sources import KafkaSource

anchor = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"])
verifier = Verifier(anchor, audience="orders", sources=[KafkaSource(os.environ["OSTRAKA_KAFKA"])])


async def orders(scope: Any, _receive: Any, send: Any) -> None:
    if scope["path"] == "/healthz":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"ready": verifier.status.ready}).encode()})
        return
    grant = grant_of(scope)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(1_000_000):  # ends before that: with the client, or with the grant
        event = f"data: order {number} for {grant.subject}\n\n"
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        await asyncio.sleep(0.1)


app = OstrakaMiddleware(orders, verifier, requires="orders:create", unguarded=lambda scope: scope["path"] == "/healthz")


async def main() -> None:
    host, port = os.environ.get("OSTRAKA_HTTP_HOST", "127.0.0.1"), int(os.environ.get("OSTRAKA_HTTP_PORT", "8402"))
    async with verifier:  # goes on once tokens can be decided, or says why not
        await uvicorn.Server(uvicorn.Config(app, host=host, port=port, lifespan="off")).serve()


if __name__ == "__main__":
    asyncio.run(main())
