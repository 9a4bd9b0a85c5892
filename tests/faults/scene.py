"""One scene: an issuer and verifiers in processes of their own, tokens that they are asked about, and what happens.

A row of the table sets a scene, lets something go wrong, and is judged by the history.
"""

import asyncio
import json
import os
import signal
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ostraka_issuer.api_client import Announced, ApiClient, IssuerRefused, IssuerUnreachable
from ostraka_schemas import base64url
from tests.faults.deciding import ACCEPTED
from tests.faults.hall import Seat
from tests.faults.history import FRESH, WITHOUT_NEWS, Moment, Revocation, Story, Window, worst_accept
from tests.faults.proxy import FAIR, Link
from tests.faults.stage import ISSUER, Stage
from tests.faults.waiting import until
from tests.support.offset_clock import ClockDial
from tests.support.stack import PASSWORD, IssuerHome, make_home, until_ready

KAFKA = "kafka"
HTTP = "http"
BOTH = (KAFKA, HTTP)
TOLERANCE = 10.0
"""What the promise allows beyond ``max_staleness``: clocks may differ by so much."""
TOKEN_SECONDS = "900"
_MIGRATING = asyncio.Lock()
"""Alembic keeps what it works on in globals: one database at a time in a process."""


@dataclass
class Player:
    """A verifier process."""

    name: str
    pid: int
    seat: Seat
    clock: ClockDial
    link: str
    left: bool = False

    @property
    def last(self) -> Moment:
        """What it told last."""
        assert self.seat.last is not None, f"{self.name} has told nothing yet"
        return self.seat.last


@dataclass
class Scene:
    """A home with its issuer, and the verifiers that know it."""

    stage: Stage
    directory: Path
    home: IssuerHome
    client: ApiClient
    clock: ClockDial
    max_staleness: float
    heartbeat: int
    issuer: int | None = None
    players: dict[str, Player] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    attempted: set[str] = field(default_factory=set)
    revocations: list[Revocation] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    _operator: str = ""
    _web: dict[str, Link] = field(default_factory=dict)

    # --- who plays ---------------------------------------------------------------------------------------------------

    async def start_issuer(self, *, ready: bool = True) -> None:
        """Start the issuer, and wait until it is ready."""
        self.issuer = await self.stage.zygote.start(
            {**os.environ, **self.home.environment}, log=self.home.log, clock=self.clock.path
        )
        if ready:
            await until_ready(self.client, self.home)

    async def end_issuer(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the issuer and wait for its end."""
        if self.issuer is not None:
            os.kill(self.issuer, number)
            os.kill(self.issuer, signal.SIGCONT)
            await self.stage.zygote.wait(self.issuer)
            self.issuer = None

    async def add_verifier(
        self,
        name: str,
        channels: Sequence[str] = (KAFKA,),
        *,
        link: str | None = None,
        topic: str | None = None,
        state: Path | None = None,
        offset: float = 0.0,
        drift: float = 0.0,
        limits: Mapping[str, int] | None = None,
    ) -> Player:
        """Start a verifier; it is there, and not yet ready.

        Args:
            channels: ``KAFKA``, ``HTTP`` or both.
            link: behind which it is, if it is not the one of its name.
            topic: that it reads, if it is not the feed's.
            state: its state directory.
            offset: how far its clock is off.
            drift: how much too fast that runs; 0.01 is 10 ms a second.
            limits: of its process, by their names in ``resource``.
        """
        clock = ClockDial(self.directory / f"{name}.clock", offset)
        known_as = f"{name}@{self.home.topic}"
        seat = self.stage.hall.seat(known_as)
        order = {
            "name": known_as,
            "port": self.stage.hall.port,
            "anchor": str(self.home.path / "anchor.json"),
            "kafka": self.stage.links[link or name].address if KAFKA in channels else None,
            "http": f"http://{(await self.web(link or name)).address}" if HTTP in channels else None,
            "topic": topic or self.home.topic,
            "state": None if state is None else str(state),
            "clock": str(clock.path),
            "drift": drift,
            "max_staleness": self.max_staleness,
            "limits": dict(limits or {}),
        }
        log = self.directory / f"{name}.log"
        pid = await self.stage.zygote.run("tests.faults.deciding", order, log=log)
        self.players[name] = Player(name, pid, seat, clock, link or name)
        await until(lambda: seat.last is not None, lambda: f"{name} came: {log.read_text()[-2_000:]}")
        seat.tell(self.tokens)
        return self.players[name]

    async def end_verifier(self, name: str) -> None:
        """Kill it; what it told stays."""
        player = self.players[name]
        if not player.left:
            player.left = True
            os.kill(player.pid, signal.SIGKILL)
            await self.stage.zygote.wait(player.pid)

    # --- what they do ------------------------------------------------------------------------------------------------

    async def present(self, *names: str, user: str = "alice", accepted_by: Sequence[str] | None = None) -> None:
        """Log in once for each name, and let every verifier be asked about the token; wait until they accept it.

        Args:
            accepted_by: the verifiers to wait for; by default all.
        """
        for name in names:
            self.tokens[name] = (await self.client.login(user, PASSWORD)).access_token
        present = [player for player in self.players.values() if not player.left]
        for player in present:
            player.seat.tell({name: self.tokens[name] for name in names})
        waited = [p for p in present if accepted_by is None or p.name in accepted_by]
        await until(
            lambda: all(p.last.decisions.get(name) == ACCEPTED for p in waited for name in names),
            lambda: f"accepted everywhere: {[(p.name, dict(p.last.decisions), dict(p.last.sources)) for p in waited]}",
        )

    async def revoke(self, name: str, kind: str = "token") -> bool:
        """Revoke the token, or its whole session; whether that was acknowledged."""
        self.attempted.add(name)
        claims = _claims(self.tokens[name])
        what = {"kind": "token", "jti": claims["jti"]}
        if kind == "session":
            what = {"kind": "session", "session_id": claims["sid"]}
        offset = self.clock.offset
        try:
            answer = await self._as_operator({**what, "reason": "test"})
        except (IssuerUnreachable, IssuerRefused):
            return False
        self.revocations.append(Revocation(name, answer.committed_at - offset))
        return True

    def token_id(self, name: str) -> str:
        """The ``jti`` of a token."""
        return str(_claims(self.tokens[name])["jti"])

    async def _as_operator(self, what: Mapping[str, Any]) -> Announced:
        for attempt in (1, 2):
            if not self._operator:
                self._operator = (await self.client.login("operator", PASSWORD)).access_token
            try:
                return await self.client.revoke(self._operator, what)
            except IssuerRefused as refused:
                # The issuer's clock may have passed the end of the operator's token.
                if refused.http_status != 401 or attempt == 2:
                    raise
                self._operator = ""
        raise AssertionError("unreachable")

    @contextmanager
    def fault(self, *names: str, reasons: frozenset[str] = WITHOUT_NEWS) -> Iterator[Window]:
        """Something is wrong for these verifiers, or for all, until the end of the block; healing belongs in it.

        Args:
            reasons: for which they may refuse good tokens meanwhile.
        """
        window = Window(frozenset(names), time.time(), reasons=reasons)
        self.windows.append(window)
        yield window
        window.end = time.time()

    def link(self, name: str) -> Link:
        """The link of that name, to be made worse."""
        return self.stage.links[name]

    async def web(self, name: str) -> Link:
        """The link from the verifier of that name to the issuer's HTTP."""
        if name not in self._web:
            self._web[name] = Link(int(self.home.environment["OSTRAKA_HTTP_PORT"]))
            await self._web[name].start()
        return self._web[name]

    def calm(self) -> None:
        """Make every link fair again."""
        self.stage.calm()
        for link in self._web.values():
            link.set(FAIR)

    async def close(self) -> None:
        """End everything that the scene has started."""
        self.calm()
        for name in self.players:
            await self.end_verifier(name)
        await self.end_issuer(signal.SIGKILL)
        for link in self._web.values():
            await link.stop()

    # --- how it ends -------------------------------------------------------------------------------------------------

    def head(self) -> tuple[int, int, str]:
        """The newest record in the issuer's database: epoch, seq, hash."""
        path = self.home.path / "ostraka.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            query = "SELECT epoch, seq, hash FROM feed_records ORDER BY epoch DESC, seq DESC LIMIT 1"
            epoch, seq, digest = database.execute(query).fetchone()
        return epoch, seq, digest.hex()

    async def healed(self, *names: str, within: float = 30.0) -> float:
        """Wait until these verifiers, or all, are fresh and at the issuer's head; returns after how many seconds."""
        head, since = self.head(), time.time()
        players = [p for p in self.players.values() if not p.left and (not names or p.name in names)]

        def well(player: Player) -> bool:
            last = player.last
            return last.at > since and last.freshness == FRESH and last.head == head

        def what() -> str:
            sick = [(p.name, p.last.freshness, p.last.head, dict(p.last.sources)) for p in players if not well(p)]
            return f"fresh and at {head}: {sick}; {self.stage.words()}; issuer: {self.home.log.read_text()[-1_500:]}"

        return await until(lambda: all(well(player) for player in players), what, within)

    async def refused_everywhere(self, name: str, *by: str, within: float = 30.0) -> float:
        """Wait until these verifiers, or all, refuse the token as revoked; returns after how many seconds."""
        players = [p for p in self.players.values() if not p.left and (not by or p.name in by)]
        return await until(
            lambda: all(p.last.decisions.get(name) == "revoked" for p in players),
            lambda: f"{name} refused: {[(p.name, p.last.decisions.get(name)) for p in players]}",
            within,
        )

    def accepted_for(self, name: str, *by: str) -> float:
        """The most seconds after its revocation that a token was accepted by these verifiers, or by any."""
        story = self.story()
        histories = {who: history for who, history in story.histories.items() if not by or who in by}
        revocations = [revocation for revocation in story.revocations if revocation.token == name]
        return worst_accept(replace(story, histories=histories, revocations=revocations))

    def story(self) -> Story:
        """Everything to judge it by."""
        steady = frozenset(self.tokens) - self.attempted
        histories = {name: player.seat.history for name, player in self.players.items()}
        return Story(histories, steady, list(self.revocations), list(self.windows))


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64url.decode(token.split(".")[1].encode()))
    return claims


@asynccontextmanager
async def open_scene(
    stage: Stage,
    directory: Path,
    *,
    verifiers: Sequence[str] | Mapping[str, Sequence[str]] = ("v1", "v2", "v3"),
    max_staleness: float = 6.0,
    heartbeat: int = 1,
    offset: float = 0.0,
    settings: Mapping[str, str] | None = None,
    prepare: Callable[[str], Awaitable[None]] | None = None,
) -> AsyncIterator[Scene]:
    """An issuer and verifiers, all ready; ended with the block.

    Args:
        verifiers: their names, with their channels or else on Kafka alone.
        offset: how far the issuer's clock is off.
        settings: more of the issuer's, by their names.
        prepare: called with the name of the feed's topic before the issuer starts.
    """
    stage.calm()
    directory.mkdir(parents=True, exist_ok=True)
    async with _MIGRATING:
        home = await make_home(
            directory / "home",
            stage.broker,
            f"feed-{uuid.uuid4().hex[:12]}",
            kafka=stage.links[ISSUER].address,
            heartbeat_interval=str(heartbeat),
            token_lifetime=TOKEN_SECONDS,
            **(settings or {}),
        )
    async with ApiClient(home.url) as client:
        scene = Scene(
            stage, directory, home, client, ClockDial(directory / "issuer.clock", offset), max_staleness, heartbeat
        )
        try:
            if prepare is not None:
                await prepare(home.topic)
            await scene.start_issuer()
            for name in verifiers:
                await scene.add_verifier(name, verifiers[name] if isinstance(verifiers, Mapping) else (KAFKA,))
            if verifiers:
                await scene.healed()
            yield scene
        finally:
            await scene.close()
