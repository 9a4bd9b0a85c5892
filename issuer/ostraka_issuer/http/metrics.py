"""``/metrics``, for Prometheus.

Nothing in it is secret, and it is nobody's business outside: keep it behind a proxy.
"""

from fastapi import APIRouter, Request, Response

from ostraka_issuer.observability.look import look_at
from ostraka_issuer.observability.metrics import CONTENT_TYPE, Metrics

from .context import TheIssuer

router = APIRouter()


@router.get("/metrics", summary="Metrics", response_class=Response)
async def metrics(request: Request, issuer: TheIssuer) -> Response:
    """Everything that is counted and that can be seen, in Prometheus' text format."""
    kept: Metrics = request.app.state.metrics
    return Response(
        kept.text(await look_at(issuer)), headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"}
    )
