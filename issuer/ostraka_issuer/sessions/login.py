"""Login: a user name and a password for a session.

Whoever fails learns nothing: unknown user, wrong password and disabled account get the same answer after the same work,
and are slowed down alike (``accounts.throttle``). User and client are read again, and held, in the transaction that
opens the session: what was read before the password was checked may have changed since.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.accounts.clients import Client, find_client
from ostraka_issuer.accounts.holdings import permissions_of
from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.accounts.people import by_name
from ostraka_issuer.accounts.strangers import Strangers
from ostraka_issuer.accounts.throttle import Throttle
from ostraka_issuer.errors import BadRequest, HashingBusy, LoginRefused, NotFound, StoreUnavailable
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.oauth.errors import InvalidClient, UnauthorizedClient
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.locks import share_everyone
from ostraka_issuer.store.tables import SESSIONS, USERS

from .issued import Issued, Issuing
from .tokens import Content, Draft, Minter

_log = logging.getLogger("ostraka.login")
_REFUSED = "user name or password is wrong"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a login asks for.

    Attributes:
        client_id: the client that the session is for.
        proven: the client has authenticated itself.
        audience: whom the tokens are for; ``None`` for all that the client may ask for.
        address: where the request comes from; ``None`` if nobody knows.
    """

    client_id: str
    proven: bool = False
    audience: tuple[str, ...] | None = None
    address: str | None = None


class Logins:
    """Opens sessions.

    Args:
        audiences: what a login may ask for.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        throttle: Throttle,
        strangers: Strangers,
        minter: Minter,
        issuing: Issuing,
        *,
        audiences: Sequence[str],
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttle = throttle
        self._strangers = strangers
        self._minter = minter
        self._issuing = issuing
        self._audiences = tuple(audiences)
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes
        self._under_way = 0

    async def login(self, username: str, password: str, asked: Asked) -> Issued:
        """Open a session.

        Raises:
            LoginRefused: unknown user, wrong password or disabled account: which, is not said.
            TooManyFailures: too many failed logins; the error says how long to wait.
            InvalidClient: no such client, or it has to authenticate itself. UnauthorizedClient: it opens no sessions.
            BadRequest: an audience that is not served, or not to this client.
            HashingBusy, SigningUnavailable, StoreUnavailable, KeyStoreError
        """
        # As many as may be hashed or wait for it, and no more before the database is asked for the first time: what is
        # going to be refused must not stand in line for its connections before the heartbeats and everybody else.
        if self._under_way >= self._passwords.places:
            raise HashingBusy("too many logins at once; try again")
        self._under_way += 1
        try:
            return await self._login(username, password, asked)
        finally:
            self._under_way -= 1

    async def _login(self, username: str, password: str, asked: Asked) -> Issued:
        async with self._store.read() as tx:
            audience = self._audience(await _client(tx, asked), asked)
        attempt = await self._throttle.admit(username, asked.address)
        try:
            user = await self._checked(username, password)
            session_id = new_id(self._random_bytes)
            async with self._store.write() as tx:
                draft = await self._open(tx, session_id, user, asked, audience)
                await self._throttle.succeeded(tx, attempt, user.id)
        except (HashingBusy, StoreUnavailable):
            await self._throttle.abandoned(attempt)
            raise
        issued = await self._issuing.issue(draft, session_id, 1)
        await self._renew_hash(user, password)
        return issued

    async def _checked(self, username: str, password: str) -> "Row[Any]":
        user = await self._user(username)
        instead = await self._strangers.hash_for(username)
        fits = await self._passwords.check(instead if user is None else user.password_hash, password)
        if user is None or not fits or user.disabled:
            raise LoginRefused(_REFUSED)
        return user

    async def _open(
        self, tx: Transaction, session_id: str, user: "Row[Any]", asked: Asked, audience: tuple[str, ...]
    ) -> Draft:
        position = await self._minter.head(tx)
        await share_everyone(tx)
        held = select(USERS).where(USERS.c.id == user.id).with_for_update(read=True)
        again = (await tx.execute(held)).first()
        if again is None or again.disabled or again.password_hash != user.password_hash:
            raise LoginRefused(_REFUSED)
        await _client(tx, asked, hold=True)
        now = self._clock.now().wall
        content = Content(
            subject=user.id,
            client_id=asked.client_id,
            audience=audience,
            permissions=await permissions_of(tx, user.id),
            session_id=session_id,
            auth_time=int(now),
        )
        await tx.execute(insert(SESSIONS).values(_row(content, now)))
        return await self._minter.draft(tx, position, content)

    async def _user(self, username: str) -> "Row[Any] | None":
        if not username.isprintable():
            return None  # nobody is called that, and the database could not even be asked
        async with self._store.read() as tx:
            row: Row[Any] | None = (await tx.execute(by_name(select(USERS), username))).first()
            return row

    async def _renew_hash(self, user: "Row[Any]", password: str) -> None:
        """Hash the password anew if the parameters are others by now (OWASP Password Storage Cheat Sheet)."""
        if not self._passwords.is_outdated(user.password_hash):
            return
        try:
            hashed = await self._passwords.hash(password, chosen=False)
            async with self._store.write() as tx:
                same = (USERS.c.id == user.id) & (USERS.c.password_hash == user.password_hash)
                await tx.execute(update(USERS).where(same).values(password_hash=hashed))
        except (BadRequest, HashingBusy, StoreUnavailable) as error:
            # The login is done; the next one tries again.
            _log.info("a password could not be hashed anew: %s", error.code)

    def _audience(self, client: Client, asked: Asked) -> tuple[str, ...]:
        allowed = [name for name in self._audiences if not client.audiences or name in client.audiences]
        wanted = allowed if asked.audience is None else list(dict.fromkeys(asked.audience))
        if not wanted or not set(wanted) <= set(allowed):
            raise BadRequest(f"the audience is one or more of {', '.join(allowed)}")
        return tuple(wanted)


async def _client(tx: Transaction, asked: Asked, *, hold: bool = False) -> Client:
    try:
        client = await find_client(tx, asked.client_id, for_share=hold)
    except NotFound as error:
        raise InvalidClient("no client of that name may open sessions") from error
    if client.disabled or (client.auth_method != "none" and not asked.proven):
        raise InvalidClient("no client of that name may open sessions")
    if "password" not in client.grant_types:
        raise UnauthorizedClient("the client opens no sessions")
    return client


def _row(content: Content, now: float) -> dict[str, Any]:
    return {
        "id": content.session_id,
        "user_id": content.subject,
        "client_id": content.client_id,
        "audience": list(content.audience),
        "auth_time": content.auth_time,
        "created_at": now,
        "used_at": now,
        "generation": 1,
        "rotated_at": now,
    }
