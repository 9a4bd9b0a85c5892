"""``/admin/sessions``: who is logged in."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Path as InPath

from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.accounts.open_sessions import list_sessions
from ostraka_schemas.limits import ID_MAX_CHARS
from ostraka_schemas.model import Text

from .administration import TheAdministration, caller
from .models_accounts import Cursor, Limit, Outcome, SessionBody, SessionList
from .strict import StrictRoute

router = APIRouter(prefix="/admin/sessions", route_class=StrictRoute, tags=["sessions"])
SessionId = Annotated[str, InPath(min_length=1, max_length=ID_MAX_CHARS)]
Reader = Depends(caller("sessions:read"))
Writer = Annotated[Actor, Depends(caller("sessions:write"))]


@router.get("", dependencies=[Reader], summary="List sessions")
async def list_(
    administration: TheAdministration,
    limit: Annotated[Limit, Query()] = 50,
    after: Annotated[Cursor | None, Query()] = None,
    user_id: Annotated[Cursor | None, Query()] = None,
    client_id: Annotated[Cursor | None, Query()] = None,
    ended: Annotated[bool, Query()] = False,
) -> SessionList:
    """Sessions by id; only those of one user or client; with ``ended`` also those that are over."""
    async with administration.store.read() as tx:
        sessions = await list_sessions(
            tx,
            now=administration.clock.now().wall,
            limit=limit,
            after=after,
            user_id=user_id,
            client_id=client_id,
            ended=ended,
        )
    bodies = [SessionBody(**{**asdict(session), "audience": list(session.audience)}) for session in sessions]
    return SessionList(sessions=bodies, next=sessions[-1].id if len(sessions) == limit else None)


@router.delete("/{session_id}", summary="End a session")
async def end(
    session_id: SessionId,
    response: Response,
    administration: TheAdministration,
    by: Writer,
    reason: Annotated[Text | None, Query()] = None,
) -> Outcome:
    """End a session: its access tokens, its refresh token, itself."""
    done = await administration.revocations.session(session_id, reason=reason, by=by)
    confirmed = await administration.confirm(done.txn)
    response.status_code = confirmed.http_status
    return Outcome(
        txn=done.txn,
        epoch=confirmed.epoch,
        seq=confirmed.seq,
        published=confirmed.published,
        committed_at=done.committed_at,
        announced=1,
        sessions_ended=done.sessions,
    )
