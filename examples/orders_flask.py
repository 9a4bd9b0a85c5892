"""A synchronous web service, on Flask, that takes orders from whoever may create them.

OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python orders_flask.py
"""

import os

from flask import Flask, Response, request

from ostraka_consumers import TrustAnchor, VerificationError
from ostraka_consumers.integrations.threads import ThreadVerifier, answer_to
from ostraka_consumers.sources import KafkaSource

anchor = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"])
verifier = ThreadVerifier(anchor, audience="orders", sources=[KafkaSource(os.environ["OSTRAKA_KAFKA"])])
app = Flask(__name__)


@app.errorhandler(VerificationError)
def refused(error: VerificationError) -> Response:
    answer = answer_to(error)
    return Response(answer.body, answer.status, answer.headers)


@app.post("/orders")
def create() -> tuple[dict[str, object], int]:
    grant = verifier.authorize(request.headers.getlist("Authorization"), requires="orders:create")
    return {"order": request.get_json(), "placed_by": grant.subject}, 201


@app.get("/healthz")
def healthz() -> dict[str, bool]:
    return {"ready": verifier.status.ready}


if __name__ == "__main__":
    host, port = os.environ.get("OSTRAKA_HTTP_HOST", "127.0.0.1"), int(os.environ.get("OSTRAKA_HTTP_PORT", "8405"))
    with verifier:  # goes on once tokens can be decided; under a server that forks, start it in each worker
        app.run(host=host, port=port)
