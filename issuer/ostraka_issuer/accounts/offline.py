"""Accounts for commands that work on the home itself, without a running issuer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer.home import Home
from ostraka_issuer.settings import IssuerSettings
from ostraka_issuer.store import migrate, open_store

from .passwords import Passwords
from .users import Accounts


@asynccontextmanager
async def open_accounts(settings: IssuerSettings) -> AsyncIterator[Accounts]:
    """The accounts of the home of ``settings``; a running issuer sees each change at once.

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
        yield Accounts(store, passwords, issuer=issuer)
    finally:
        await passwords.close()
        await store.close()
