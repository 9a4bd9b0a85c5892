"""What the doors of ``/admin`` for accounts work with, and who comes through them.

``ostraka users`` and the like open the same doors from inside, on the home itself: then there is an ``Administration``
without a running issuer, and whoever comes is ``HOME``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Protocol

from fastapi import Depends, Request, Response

from ostraka_consumers.clock import Clock
from ostraka_consumers.grant import Grant
from ostraka_consumers.integrations.fastapi import requires
from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.accounts.client_admin import Clients
from ostraka_issuer.accounts.ledger import Change
from ostraka_issuer.accounts.roles import Roles
from ostraka_issuer.accounts.users import Accounts
from ostraka_issuer.revocation import Revocations
from ostraka_issuer.runtime import Issuer
from ostraka_issuer.store import Store

from .confirm import Confirmation, confirm
from .models_accounts import Outcome


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts of an issuer that accounts are managed with.

    Attributes:
        confirm: where a committed change stands in the feed, given its ``txn``.
    """

    store: Store
    clock: Clock
    accounts: Accounts
    roles: Roles
    clients: Clients
    revocations: Revocations
    confirm: Callable[[str], Awaitable[Confirmation]]


def of_issuer(issuer: Issuer) -> Administration:
    """Those of a running issuer."""

    async def confirmed(txn: str) -> Confirmation:
        return await confirm(issuer, txn)

    url, clock = issuer.settings.issuer, issuer.clock
    return Administration(
        store=issuer.store,
        clock=clock,
        accounts=issuer.accounts,
        roles=Roles(issuer.store, issuer=url, clock=clock),
        clients=Clients(issuer.store, issuer=url, clock=clock),
        revocations=issuer.revocations,
        confirm=confirmed,
    )


async def _administration(request: Request) -> Administration:
    inside: Administration | None = getattr(request.app.state, "administration", None)
    return inside if inside is not None else of_issuer(request.app.state.issuer)


TheAdministration = Annotated[Administration, Depends(_administration)]
"""A parameter of this type is what the door works with."""


class Caller(Protocol):
    """A dependency that gives whoever may pass."""

    async def __call__(self, grant: Grant) -> Actor:
        """The actor."""
        ...


CALLERS: Final[dict[str, Caller]] = {}
"""Every guard there is, by what it asks for."""


@cache
def caller(permission: str) -> Caller:
    """A dependency that lets only callers with ``permission`` through, and says who they are."""

    async def actor(grant: Annotated[Grant, Depends(requires(permission))]) -> Actor:
        return Actor(grant.subject, grant.allows)

    CALLERS[permission] = actor
    return actor


async def outcome(administration: Administration, change: Change, response: Response) -> Outcome:
    """What came of a change. 200; 202 if what it announced has no place in the feed yet."""
    confirmed = Confirmation(None, None, published=False)
    if change.txn is not None:
        confirmed = await administration.confirm(change.txn)
        response.status_code = confirmed.http_status
    return Outcome(
        txn=change.txn,
        epoch=confirmed.epoch,
        seq=confirmed.seq,
        published=confirmed.published,
        committed_at=change.committed_at,
        announced=change.announced,
        sessions_ended=change.sessions,
    )
