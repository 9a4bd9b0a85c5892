"""The life of token keys on a stage: two processes on one database, a feed that is placed and published when the script
says so, verifiers that follow it, and a store of keys that fails on demand. Time is the script's.

Verifiers are real ones: the key set and the reader of tokens that services have.
"""

from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TypeVar

from sqlalchemy import Connection, delete, func, insert, select, update

from ostraka_consumers.clock import ManualClock
from ostraka_consumers.trust.keyset import KeySet
from ostraka_consumers.trust.tokens import TokenReader
from ostraka_issuer.errors import IssuerError, KeyStoreError
from ostraka_issuer.keys import schedule
from ostraka_issuer.keys.ring import TokenKeys
from ostraka_issuer.keys.schedule import KeyPolicy
from ostraka_issuer.keys.sealed import KeyUse, SealedKey
from ostraka_issuer.keys.stores import KeyStore
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.intents import add_intent
from ostraka_issuer.store.keys import TokenKeyRow, insert_key, key_set
from ostraka_issuer.store.tables import FEED_RECORDS, INTENTS, PRIVATE_KEYS, TOKEN_KEYS
from ostraka_schemas import jws, strict_json
from ostraka_schemas.events import KeySetChanged
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import CLOCK_TOLERANCE, TOKEN_MAX_BYTES
from ostraka_schemas.root import FeedRole, Limits, RootDocument, RootRole
from ostraka_schemas.subjects import Uri

T = TypeVar("T")

ISSUER = "https://id.example"
POLICY = KeyPolicy("ES256", token_lifetime=300, lead=2_000, lifetime=20_000, keys_max=4)
_ROOT_KEY, _FEED_KEY = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
ROOT = RootDocument(
    iss=ISSUER,
    version=1,
    epoch=1,
    iat=1_700_000_000,
    exp=2_000_000_000,
    root=RootRole(keys=[_ROOT_KEY.public.to_jwk()], threshold=1),
    feed=FeedRole(keys=[_FEED_KEY.public.to_jwk()], exp=2_000_000_000),
    limits=Limits(token_algorithms=["ES256"], token_keys=POLICY.keys_max, token_key_lifetime=POLICY.lifetime),
)


class FailingKeys:
    """A key store that may die before or after it did what it was asked."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self.fails: str | None = None

    def _die(self, when: str) -> None:
        if self.fails == when:
            self.fails = None
            raise KeyStoreError(f"died {when} the work")

    async def save(self, use: KeyUse, key: SigningKey, tx: Transaction | None = None) -> None:
        self._die("before")
        await self._keys.save(use, key, tx)
        self._die("after")

    async def load(self, use: KeyUse, kid: str, tx: Transaction | None = None) -> SigningKey:
        self._die("before")
        return await self._keys.load(use, kid, tx)

    async def names(self, use: KeyUse) -> tuple[str, ...]:
        return await self._keys.names(use)

    async def remove(self, use: KeyUse, kid: str) -> None:
        self._die("before")
        await self._keys.remove(use, kid)
        self._die("after")

    def find(self, connection: Connection, use: KeyUse, kids: Iterable[str]) -> SigningKey | None:
        return self._keys.find(connection, use, kids)

    async def sealed(self, use: KeyUse) -> tuple[SealedKey, ...]:
        return await self._keys.sealed(use)

    async def put(self, keys: Iterable[SealedKey]) -> None:
        await self._keys.put(keys)


class Follower:
    """A verifier that has applied the feed up to somewhere."""

    def __init__(self) -> None:
        self._reader = TokenReader(ISSUER, frozenset({"orders"}))
        self.keys = KeySet()
        self.applied = 0

    def apply(self, events: Sequence[tuple[int, KeySetChanged]]) -> None:
        for seq, event in events:
            if seq > self.applied:
                self.keys, self.applied = self.keys.replaced_by(event.keys, ROOT), seq

    def accepts(self, token: str) -> None:
        self._reader.read(token, self.keys)


class Token:
    """A minted token and who signed it."""

    def __init__(self, text: str, kid: str, end: int) -> None:
        self.text = text
        self.kid = kid
        self.end = end


class Stage:
    """Do something with ``act``, then ``look`` at what must hold."""

    def __init__(self, store: Store, keys: KeyStore, policy: KeyPolicy = POLICY) -> None:
        self.clock = ManualClock()
        self.store = store
        self.keys = FailingKeys(keys)
        self.policy = policy
        self.processes = [self._process(), self._process()]
        self.at_the_head, self.behind_the_bus = Follower(), Follower()
        self.tokens: list[Token] = []
        self.lost: set[str] = set()
        self.born_in_need: set[str] = set()

    def _process(self) -> TokenKeys:
        return TokenKeys(self.store, self.keys, issuer=ISSUER, policy=self.policy, clock=self.clock)

    async def begin(self) -> None:
        """An issuer just made: its first key waits for its place in the feed."""
        key = SigningKey.generate("ES256")
        now = self.now
        row = schedule.new_row(key.public, self.policy, nbf=int(now), now=now, txn="first")
        async with self.store.write() as tx:
            for table in (TOKEN_KEYS, FEED_RECORDS, INTENTS, PRIVATE_KEYS):
                await tx.execute(delete(table))
            await self.keys.save(KeyUse.TOKEN, key, tx)
            await insert_key(tx, row)
            await add_intent(tx, txn="first", subject=Uri(uri=ISSUER), event=key_set([row]), now=now)
        self.born_in_need.add(key.kid)

    @property
    def now(self) -> float:
        return self.clock.now().wall

    async def rows(self) -> tuple[TokenKeyRow, ...]:
        return await self._process().rows()

    # --- what can happen ---------------------------------------------------------------------------------------------

    async def keep(self, process: int) -> float | None:
        return await self._try(self.processes[process].keep())

    async def rotate(self, process: int, lead: int) -> None:
        await self._try(self.processes[process].rotate(lead))

    async def compromise(self, process: int, which: int) -> None:
        before = await self.rows()
        kid = before[which % len(before)].kid
        change = await self._try(self.processes[process].compromise(kid))
        after = {row.kid: row.state for row in await self.rows()}
        if change is not None and change.successor is not None:
            self.born_in_need.add(change.successor.kid)
        # An emergency may crowd out keys before their time; nothing else may.
        there = {row.kid for row in before if row.state not in ("compromised", "destroyed")}
        self.lost |= {kid for kid in there if after[kid] in ("compromised", "destroyed")}

    async def crash(self, process: int) -> None:
        self.processes[process] = self._process()
        await self._try(self.processes[process].open())

    async def mint(self, process: int) -> Token | None:
        token = await self._try(self._mint(self.processes[process]))
        if token is not None:
            self.tokens.append(token)
        return token

    async def place(self) -> None:
        """The feed gives every waiting intent its place."""
        async with self.store.write() as tx:
            head = int((await tx.execute(select(func.max(FEED_RECORDS.c.seq)))).scalar() or 0)
            query = select(INTENTS.c.id, INTENTS.c.txn).where(INTENTS.c.seq.is_(None)).order_by(INTENTS.c.id)
            for intent in (await tx.execute(query)).all():
                head += 1
                raw = f"record {head}".encode()
                await tx.execute(update(INTENTS).where(INTENTS.c.id == intent.id).values(seq=head))
                record = {"hash": sha256(raw).digest(), "raw": raw, "txn": intent.txn, "created_at": self.now}
                await tx.execute(insert(FEED_RECORDS).values(epoch=1, seq=head, **record))

    async def publish(self) -> None:
        """The bus acknowledges everything that has a place."""
        async with self.store.write() as tx:
            await tx.execute(update(FEED_RECORDS).values(published_at=self.now))

    async def _try(self, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except IssuerError:
            return None

    async def _mint(self, process: TokenKeys) -> Token:
        async with self.store.read() as tx:
            signer = await process.signer(tx)
        iat = int(self.now)
        end = iat + min(self.policy.token_lifetime, signer.max_token_lifetime)
        claims = {"iss": ISSUER, "sub": "alice", "aud": "orders", "client_id": "c", "iat": iat, "exp": end}
        claims |= {"jti": "AAAAAAAAAAAAAAAAAAAAAA", "fv": [1, self.at_the_head.applied]}
        key = await process.private(signer.kid)
        text = jws.sign(strict_json.dumps(claims), key, typ=jws.TYP_ACCESS_TOKEN, max_bytes=TOKEN_MAX_BYTES)
        return Token(text.decode(), signer.kid, end)

    # --- what must hold ----------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """See that all promises are kept at this moment."""
        await self._follow()
        rows = {row.kid: row for row in await self.rows()}
        states = [row.state for row in rows.values()]
        assert states.count("active") <= 1
        assert states.count("pre-activation") <= 1
        assert schedule.published_count(tuple(rows.values())) <= self.policy.keys_max
        for token in self.tokens:
            self._judge(token, rows[token.kid])
        self.tokens = [token for token in self.tokens if self._lives(token)]
        kept = set(await self.keys.names(KeyUse.TOKEN))
        missing = {kid for kid, row in rows.items() if row.state in ("active", "pre-activation")} - kept
        assert not missing, "a key that may sign is nowhere"

    def _lives(self, token: Token) -> bool:
        return self.now <= token.end + CLOCK_TOLERANCE + self.policy.late

    def _judge(self, token: Token, row: TokenKeyRow) -> None:
        assert token.end + CLOCK_TOLERANCE <= row.exp, "signed after its end"
        if not self._lives(token) or token.kid in self.lost:
            return
        assert row.state != "destroyed", "destroyed before its last token ended"
        self.at_the_head.accepts(token.text)
        if token.kid not in self.born_in_need or self.behind_the_bus.keys.get(token.kid) is not None:
            self.behind_the_bus.accepts(token.text)

    async def _follow(self) -> None:
        query = (
            select(INTENTS.c.seq, INTENTS.c.event, FEED_RECORDS.c.published_at)
            .join(FEED_RECORDS, FEED_RECORDS.c.txn == INTENTS.c.txn)
            .where(INTENTS.c.seq > self.behind_the_bus.applied)
            .order_by(INTENTS.c.seq)
        )
        async with self.store.read() as tx:
            found = (await tx.execute(query)).all()
        events = [(int(row.seq), KeySetChanged.model_validate(row.event)) for row in found]
        self.at_the_head.apply(events)
        self.behind_the_bus.apply([event for event, row in zip(events, found, strict=True) if row.published_at])


@asynccontextmanager
async def curtain(store: Store, keys: KeyStore, policy: KeyPolicy = POLICY) -> AsyncIterator[Stage]:
    """A stage on an empty database."""
    stage = Stage(store, keys, policy)
    await stage.begin()
    yield stage
