"""``/healthz``: the process is there. ``/readyz``: it can do its work, and if not, why."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import text

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.state import FeedState
from ostraka_issuer.runtime import Issuer

from .context import TheIssuer

router = APIRouter()


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive")
async def healthz() -> dict[str, str]:
    """Answers as long as the event loop turns."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready", responses={503: {"description": "Not ready, and why"}})
async def readyz(response: Response, issuer: TheIssuer) -> dict[str, Any]:
    """200 when this process can do what its role asks of it, else 503 with the reasons.

    With the lease of the feed or without: a process that stands by is ready, as long as it hears the one that writes.

    A broker that is away is reported and does not count: what is committed meanwhile is published when it is back. One
    that is there and has a wrong topic, or does not let the issuer write, does: only an operator can end that, and
    until then a revocation that is accepted here reaches nobody on the bus.
    """
    reasons = await _reasons(issuer)
    response.status_code = 503 if reasons else 200
    response.headers["Cache-Control"] = "no-store"
    return {"ready": not reasons, "reasons": reasons, "role": issuer.settings.role, **await _details(issuer)}


async def _reasons(issuer: Issuer) -> list[str]:
    reasons = []
    status = issuer.verifier.status
    if not status.ready or status.freshness not in ("fresh", "lagging"):
        reasons.append(f"own verifier: {status.waiting_for or status.freshness}")
    if not issuer.keeper.running:
        reasons.append("token keys: nobody moves them along; see the log")
    reasons += [f"snapshots: {trouble}" for trouble in issuer.snapshots.troubles()]
    if issuer.store.trouble is not None:
        reasons.append(f"database: {issuer.store.trouble}")
    try:
        async with issuer.store.read() as tx:
            await tx.execute(text("SELECT 1"))
        reasons += [f"feed: {alarm}" for alarm in (await issuer.feed.state()).alarms]
    except StoreUnavailable as error:
        reasons.append(f"database: {error}")
    return reasons


def _broker(feed: FeedState) -> str:
    if not feed.writing:
        return "another process's"
    return "connected" if feed.connected else "away"


async def _details(issuer: Issuer) -> dict[str, Any]:
    status = issuer.verifier.status
    details: dict[str, Any] = {
        "verifier": {"freshness": status.freshness, "head": None if status.head is None else str(status.head.position)}
    }
    details["snapshots"] = issuer.snapshots.details()
    try:
        feed = await issuer.feed.state()
    except StoreUnavailable:
        return details
    details["feed"] = {
        "head": None if feed.head is None else str(feed.head.position),
        "broker": _broker(feed),
        "publishing": feed.publishing,
        "unpublished": feed.unpublished,
        "oldest_unpublished": feed.oldest_unpublished,
    }
    lease = feed.lease
    details["lease"] = {"held": feed.writing, "holder": lease.holder, "fence": lease.fence, "until": lease.until}
    details["root"] = {"version": feed.root_version, "ends": feed.root_ends, "warning": feed.root_warning}
    return details
