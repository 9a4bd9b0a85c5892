"""Whatever is said and whatever becomes of the files: a restarted verifier knows only what was true.

It decides nothing before it is where it was, and accepts no token that it refused as revoked.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ostraka_consumers import Revoked
from ostraka_consumers.persistence import frames
from ostraka_consumers.persistence.store import Store
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.receipt import Taken
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position
from tests.properties.feeds import Step, new_issuer, say, steps

from .lives import Reference, new_verifier, position, read_back

FILES = ("roots", "snapshot", "journal", "position")
THIEF = SigningKey.generate("EdDSA")

ACTS = st.one_of(
    steps().filter(lambda step: step.kind != "beat"),
    st.sampled_from(["restart", "restart", "note", "epoch", "root", "snapshot", "remember", "put back", "inject"]),
    st.tuples(st.sampled_from(FILES), st.sampled_from(["cut", "flip", "zero"]), st.floats(0, 1, exclude_max=True)),
)


class Machine:
    """One directory, one issuer, and a verifier that is restarted again and again."""

    def __init__(self, directory: Path) -> None:
        self.issuer = new_issuer()
        self.directory = directory
        self.reference = Reference(self.issuer)
        self.floor: Position | None = None
        self.refused: list[tuple[str, Position]] = []
        self.remembered: dict[str, bytes] = {}
        self.begin()
        self.hear(*self.issuer.open())

    def begin(self) -> None:
        self.verifier = new_verifier(self.issuer, None)
        self.taken: list[Taken] = []
        self.verifier._core = TrustCore(self.issuer.anchor, keep=self.taken.append)
        self.store = Store(self.directory)
        self.store.open()

    def hear(self, *raws: bytes) -> None:
        self.reference.take(*raws)
        self.bring(*raws)

    def bring(self, *raws: bytes) -> None:
        for raw in raws:
            self.verifier.deliver(raw)
        self.keep()

    def keep(self) -> None:
        self.store.keep(self.taken)
        self.taken.clear()

    def note(self) -> None:
        at = position(self.verifier)
        if at is not None:
            self.store.note(at)
            self.floor = at if self.floor is None else max(self.floor, at)

    async def act(self, act: Any) -> None:
        match act:
            case Step():
                token = self.issuer.token(sub=act.who or "alice", client_id=act.who or "web", jti=act.who or "t1")
                self.hear(say(self.issuer, act))
                self.judge(token)
            case "note":
                self.note()
            case "epoch":
                self.hear(*self.issuer.adopt_root(self.issuer.next_root(epoch=self.issuer.epoch + 1)))
            case "root":
                self.hear(*self.issuer.adopt_root(self.issuer.next_root()))
            case "snapshot":
                await self.restart(by_snapshot=True)
            case "remember":
                self.remembered = {path.name: path.read_bytes() for path in self.directory.iterdir()}
            case (name, how, where):
                await self.restart(damage=lambda: self.damage(name, how, where))
            case _:
                await self.restart(damage={"put back": self.put_back, "inject": self.inject}.get(act))

    def judge(self, token: str) -> None:
        """Note what is refused for good, once that is written down."""
        self.verifier.deliver(self.issuer.heartbeat())
        self.verifier._ready = True
        try:
            self.verifier.verify(token)
        except Revoked:
            self.note()
            at = position(self.verifier)
            assert at is not None
            self.refused.append((token, at))
        finally:
            self.verifier._ready = False

    def put_back(self) -> None:
        for name, raw in self.remembered.items():
            if name in FILES[:3]:
                (self.directory / name).write_bytes(raw)

    def inject(self) -> None:
        forged = self.issuer.sign_payload(self.issuer.payload({"urn:ostraka:event:issuer-cutoff": {}}), key=THIEF)
        with (self.directory / "journal").open("ab") as file:
            file.write(frames.frame(forged))

    def damage(self, name: str, how: str, where: float) -> None:
        path = self.directory / name
        if not path.exists() or not path.stat().st_size:
            return
        raw = bytearray(path.read_bytes())
        at = int(where * len(raw))
        if how == "flip":
            raw[at] ^= 0x10
        else:
            raw[at:] = b"" if how == "cut" else b"\0" * (len(raw) - at)
        path.write_bytes(raw)
        if name == "position":
            self.floor = None
            self.refused.clear()

    async def restart(self, *, damage: Any = None, by_snapshot: bool = False) -> None:
        self.store.close()
        if damage is not None:
            damage()
        self.begin()
        await read_back(self.store, self.verifier)
        self.taken.clear()
        self.reference.check(self.verifier)
        self.old_news()
        core, now = self.verifier.core, self.issuer.clock.now()
        if by_snapshot:
            state = self.reference.verifier.core.state
            assert state is not None
            self.bring(*self.issuer.root_files(), *self.issuer.snapshot(state), self.issuer.heartbeat())
        self.bring(*self.issuer.root_files(), *self.issuer.records, self.issuer.heartbeat())
        assert core.why_not_ready(now) is None
        assert position(self.verifier) == self.issuer.head.position

    def old_news(self) -> None:
        """Brought nothing but a heartbeat for where it stands, it decides only if that is where it was."""
        core, at = self.verifier.core, position(self.verifier)
        if core.head is None or at is None or at.epoch != self.issuer.epoch:
            return
        self.verifier.deliver(self.issuer.heartbeat(head=core.head))
        if core.why_not_ready(self.issuer.clock.now()) is not None:
            return
        assert self.floor is None or at >= self.floor
        self.verifier._ready = True
        for token, _ in self.refused:
            with pytest.raises(Exception, match=r"deny list|cut off|ended"):
                self.verifier.verify(token)
        self.verifier._ready = False


@given(st.lists(ACTS, min_size=1, max_size=14))
@example(["remember", Step("subject", "alice"), "put back"])
@example(["snapshot", "remember", Step("token", "t1"), "root", Step("client", "web"), "put back"])
@example(["remember", "epoch", Step("everyone"), "put back", ("journal", "flip", 0.5)])
@settings(max_examples=40)
def test_a_restarted_verifier_is_never_behind_itself(acts: list[Any]) -> None:
    async def run(folder: str) -> None:
        machine = Machine(Path(folder))
        for act in [*acts, "restart"]:
            await machine.act(act)
        machine.store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))
