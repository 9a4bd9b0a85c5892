"""The doors of ``/admin`` for accounts, opened from inside: on a home, without a running issuer and without a login.

Whoever can write the database can do all of it anyway. What is announced waits in the database for the issuer, which
puts it into the feed as soon as it looks, or as it starts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import SystemClock
from ostraka_issuer.accounts.actors import HOME, Actor
from ostraka_issuer.accounts.client_admin import Clients
from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.accounts.roles import Roles
from ostraka_issuer.accounts.users import Accounts
from ostraka_issuer.errors import BadRequest
from ostraka_issuer.home import Home
from ostraka_issuer.revocation import Revocations
from ostraka_issuer.settings import IssuerSettings
from ostraka_issuer.store import Store, migrate, open_store

from .admin_accounts import ROUTERS
from .administration import CALLERS, Administration
from .confirm import Confirmation
from .problems import places


@asynccontextmanager
async def open_inside(settings: IssuerSettings) -> AsyncIterator[FastAPI]:
    """An application with those doors and no guards. It must be reachable by nobody else.

    Raises:
        HomeError: there is no finished home.
        SchemaError, StoreUnavailable
    """
    home = Home(settings.home)
    await asyncio.to_thread(home.require, database=settings.database is None)
    await asyncio.to_thread(migrate, settings)
    issuer = (await asyncio.to_thread(TrustAnchor.load, home.anchor)).issuer
    store, passwords = open_store(settings), Passwords(settings.password_profile)
    try:
        # Errors of ours leave it as they are: nobody needs them as an answer.
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.add_exception_handler(RequestValidationError, _wrong)
        app.state.administration = _administration(store, passwords, issuer)
        for guard in CALLERS.values():
            app.dependency_overrides[guard] = _whoever_is_here
        for router in ROUTERS:
            app.include_router(router)
        yield app
    finally:
        await passwords.close()
        await store.close()


async def _wrong(_request: Request, error: Exception) -> NoReturn:
    # Never the answer that FastAPI has for it: it repeats what was sent, and that may be a password.
    raise BadRequest(places(error.errors()) if isinstance(error, RequestValidationError) else "the request is wrong")


async def _whoever_is_here() -> Actor:
    return HOME


async def _no_feed(_txn: str) -> Confirmation:
    return Confirmation(None, None, published=False)


def _administration(store: Store, passwords: Passwords, issuer: str) -> Administration:
    return Administration(
        store=store,
        clock=SystemClock(),
        accounts=Accounts(store, passwords, issuer=issuer),
        roles=Roles(store, issuer=issuer),
        clients=Clients(store, issuer=issuer),
        revocations=Revocations(store, issuer=issuer),
        confirm=_no_feed,
    )
