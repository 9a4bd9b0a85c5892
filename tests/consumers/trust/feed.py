"""A trust core beside the issuer that feeds it, and a look at what it keeps."""

from typing import Any

from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.cutoffs import ISSUER
from ostraka_consumers.trust.receipt import Receipt
from ostraka_consumers.trust.tokens import GenuineToken, TokenReader
from ostraka_schemas.records import Record
from tests.support.fake_issuer import FakeIssuer


class Fed:
    """A core and its issuer, on one clock. Opened unless said otherwise."""

    def __init__(self, issuer: FakeIssuer | None = None, *, opened: bool = True, **settings: Any) -> None:
        self.issuer = issuer or FakeIssuer()
        self.core = TrustCore(self.issuer.anchor, **settings)
        self.reader = TokenReader(self.issuer.issuer, frozenset({"orders"}))
        if opened:
            for raw in self.issuer.records or self.issuer.open():
                self.take(raw)
            self.beat()

    def take(self, raw: bytes) -> Receipt:
        """Hand over bytes; exactly one outcome is counted."""
        before = self.core.counters.copy()
        receipt = self.core.receive(raw, self.issuer.clock.now())
        told = self.core.counters - before
        del told["records"], told["snapshots"], told["skipped"]
        name = receipt.outcome if receipt.reason is None else f"{receipt.outcome}.{receipt.reason}"
        assert told == {name: 1}
        return receipt

    def beat(self, **changes: Any) -> Receipt:
        """Hand over a heartbeat of now."""
        return self.take(self.issuer.heartbeat(**changes))

    def kept(self) -> dict[str, Any]:
        """What must not change when something is refused."""
        core, state = self.core, self.core.state
        return {
            "head": core.head,
            "held": None if core._chain is None else dict(core._chain._held),
            "keys": core.keys.keys,
            "denied": None if state is None else {index: set(b) for index, b in state.denied._buckets.items()},
            "cut-offs": None if state is None else dict(state.cutoffs._latest),
            "narrowings": None if state is None else (dict(state.narrowings._remaining), state.narrowings._revoked),
            "vouched": (core._vouching.vouched_at, core._vouching.heard_at, core._vouching.ahead),
            "now": core.now(self.issuer.clock.now()),
            "records": core.counters["records"],
        }

    @property
    def remembered(self) -> int:
        """How many entries there are beside a cut-off of everyone, which may stand for what was forgotten."""
        state = self.core.state
        assert state is not None
        cutoffs = [key for key, _, _ in state.cutoffs.kept() if key != ISSUER]
        return len(state.denied) + len(cutoffs) + len(state.narrowings)

    def genuine(self, **claims: Any) -> GenuineToken:
        """A token that passed steps 1 to 4."""
        return self.reader.read(self.issuer.token(**claims), self.core.keys)

    @property
    def freshness(self) -> str:
        return self.core.freshness(self.issuer.clock.now()).value

    @property
    def alarms(self) -> set[str]:
        return {alarm.value for alarm in self.core.alarms}


def positions(applied: tuple[Record, ...]) -> list[int]:
    """Their ``seq``."""
    return [record.position.seq for record in applied]
