"""What the tests of accounts, sessions, keys and revocations have in common: an issuer without feed role and HTTP.

Time stands still until a test moves it, and the feed goes on when a test says so.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, update

from ostraka_consumers.clock import ManualClock
from ostraka_issuer.accounts.clients import register_public_client
from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.accounts.people import User
from ostraka_issuer.accounts.strangers import Strangers
from ostraka_issuer.accounts.throttle import Throttle
from ostraka_issuer.accounts.users import Accounts
from ostraka_issuer.home import Home
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.opening import open_key_store, open_vault
from ostraka_issuer.keys.ring import TokenKeys
from ostraka_issuer.keys.schedule import KeyPolicy
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.provision import create_home
from ostraka_issuer.revocation import Revocations
from ostraka_issuer.sessions.refresh_token import RefreshTokens
from ostraka_issuer.sessions.service import Sessions
from ostraka_issuer.sessions.tokens import Minter
from ostraka_issuer.settings import IssuerSettings, load_settings
from ostraka_issuer.store import Store, open_store
from ostraka_issuer.store.tables import FEED_RECORDS, INTENTS, SESSIONS, USERS
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.limits import TOKEN_MAX_BYTES

PASSWORD = "correct horse battery"
NOWHERE = "127.0.0.1:1"
"""No broker answers there."""


def new_settings(path: Path, **values: Any) -> IssuerSettings:
    return load_settings(
        **{"home": path / "home", "kafka": NOWHERE, "password_profile": "unsafe-for-tests", "key_lead": 60, **values}
    )


@dataclass
class World:
    settings: IssuerSettings
    clock: ManualClock
    store: Store
    vault: Vault
    directory: KeyDirectory
    passwords: Passwords
    accounts: Accounts
    keys: TokenKeys
    sessions: Sessions
    revocations: Revocations

    @classmethod
    async def make(cls, path: Path, **values: Any) -> "World":
        """A new home and everything above it; the first two records of the feed are there."""
        settings, clock = new_settings(path, **values), ManualClock()
        await create_home(settings, clock=clock)
        return await cls.open(settings, clock)

    @classmethod
    async def open(cls, settings: IssuerSettings, clock: ManualClock) -> "World":
        """What a restarted process would have."""
        home = Home(settings.home)
        store, vault = open_store(settings), open_vault(settings)
        directory, passwords = KeyDirectory(home.keys, vault), Passwords(settings.password_profile)
        policy = KeyPolicy(settings.token_algorithm, settings.token_lifetime, settings.key_lead)
        key_store = open_key_store(settings, vault, store, clock=clock)
        keys = TokenKeys(store, key_store, issuer=settings.issuer, policy=policy, clock=clock)
        sessions = Sessions(
            store,
            passwords,
            Throttle(store, vault, clock=clock),
            Strangers(store, passwords, vault, clock=clock),
            Minter(keys, issuer=settings.issuer, lifetime=settings.token_lifetime, clock=clock),
            RefreshTokens(vault),
            issuer=settings.issuer,
            audiences=settings.audiences,
            client_id=settings.client_id,
            clock=clock,
        )
        revocations = Revocations(store, issuer=settings.issuer, clock=clock)
        accounts = Accounts(store, passwords, issuer=settings.issuer, clock=clock)
        world = cls(settings, clock, store, vault, directory, passwords, accounts, keys, sessions, revocations)
        await world.sequence()
        return world

    async def close(self) -> None:
        await self.passwords.close()
        await self.store.close()

    async def add(self, username: str = "alice", *permissions: str) -> User:
        return await self.accounts.add_user(username, PASSWORD, permissions or ("orders:create", "orders:read"))

    async def register(self, client_id: str) -> None:
        """Make a public client that opens sessions."""
        async with self.store.write() as tx:
            await register_public_client(tx, client_id, now=self.clock.now().wall)

    async def sequence(self, *, published: bool = True) -> int:
        """Give every waiting intent its place, as the feed role would, without signatures. Returns the new head."""
        now = self.clock.now().wall
        async with self.store.write() as tx:
            head = (await tx.execute(select(func.max(FEED_RECORDS.c.seq)))).scalar() or 0
            waiting = (await tx.execute(select(INTENTS).where(INTENTS.c.seq.is_(None)).order_by(INTENTS.c.id))).all()
            for intent in waiting:
                head += 1
                raw = f"record {head}".encode()
                await tx.execute(update(INTENTS).where(INTENTS.c.id == intent.id).values(seq=head))
                await tx.execute(
                    insert(FEED_RECORDS).values(
                        epoch=1, seq=head, hash=sha256(raw).digest(), raw=raw, txn=intent.txn, created_at=now
                    )
                )
            if published:
                await tx.execute(update(FEED_RECORDS).values(published_at=now))
        return int(head)

    async def intents(self) -> list[Any]:
        """All intents, in commit order."""
        async with self.store.read() as tx:
            return list((await tx.execute(select(INTENTS).order_by(INTENTS.c.id))).all())

    async def newest_intent(self) -> Any:
        return (await self.intents())[-1]

    async def session(self, session_id: str) -> Any:
        async with self.store.read() as tx:
            return (await tx.execute(select(SESSIONS).where(SESSIONS.c.id == session_id))).one()

    async def disable(self, username: str) -> None:
        async with self.store.write() as tx:
            await tx.execute(update(USERS).where(USERS.c.username == username).values(disabled=True))


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, not verified."""
    return strict_json.loads_object(base64url.decode(jws.split(token.encode(), max_bytes=TOKEN_MAX_BYTES).payload))


def kid_of(token: str) -> str:
    header = jws.split(token.encode(), max_bytes=TOKEN_MAX_BYTES).header
    return jws.read_header(header, typ=jws.TYP_ACCESS_TOKEN).kid
