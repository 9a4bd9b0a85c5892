"""A web service on Litestar that takes orders from whoever may create them.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_litestar.py
"""

import os

import uvicorn
from litestar import Litestar, get, post
from litestar.di import NamedDependency

from ostraka_consumers import Grant, TrustAnchor, Verifier
from ostraka_consumers.integrations.litestar import OstrakaPlugin, requires
from ostraka_consumers.sources import KafkaSource

anchor = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"])
verifier = Verifier(anchor, audience="orders", sources=[KafkaSource(os.environ["OSTRAKA_KAFKA"])])


@post("/orders", dependencies={"grant": requires("orders:create")})
async def create(data: dict[str, int], grant: NamedDependency[Grant]) -> dict[str, object]:
    return {"order": data, "placed_by": grant.subject}


@get("/healthz")
async def healthz() -> dict[str, bool]:
    return {"ready": verifier.status.ready}


# The lifespan goes on once tokens can be decided, or says why not.
app = Litestar([create, healthz], lifespan=[verifier], plugins=[OstrakaPlugin(verifier)])

if __name__ == "__main__":
    host, port = os.environ.get("OSTRAKA_HTTP_HOST", "127.0.0.1"), int(os.environ.get("OSTRAKA_HTTP_PORT", "8404"))
    uvicorn.run(app, host=host, port=port)
