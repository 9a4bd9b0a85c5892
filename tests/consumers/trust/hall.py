"""Live grants beside the core they are judged by, and how each of them ended."""

import math
from dataclasses import replace
from typing import Any

from ostraka_consumers.errors import VerificationError
from ostraka_consumers.trust.cutoffs import ISSUER, Key
from ostraka_consumers.trust.lapse import Asked, Patience
from ostraka_consumers.trust.live import Held, LiveGrants
from ostraka_consumers.trust.receipt import Receipt
from ostraka_consumers.trust.tokens import GenuineToken
from tests.consumers.trust.feed import Fed
from tests.support.fake_issuer import FakeIssuer

AS_EVER = Patience(math.inf, grace=False)


class Hall:
    """Everything is settled after each event, unless said otherwise."""

    def __init__(self, issuer: FakeIssuer | None = None) -> None:
        self.fed = Fed(issuer)
        self.issuer = self.fed.issuer
        self.grants = LiveGrants(self.fed.core)
        self.ends: dict[str, str] = {}

    def hold(self, name: str, *, asked: Asked = (), patience: Patience = AS_EVER, **claims: Any) -> Held:
        """Hold the grant of a new token."""
        return self.hold_token(name, self.fed.genuine(**claims), asked, patience)

    def hold_token(self, name: str, token: GenuineToken, asked: Asked = (), patience: Patience = AS_EVER) -> Held:
        """Hold a grant of ``token``; what it ends with stands in ``ends``."""

        def tell(over: VerificationError) -> None:
            assert name not in self.ends, "told twice"
            self.ends[name] = over.code

        held = Held(token, asked, patience, tell)
        over = self.grants.why_over(held, self.issuer.clock.now())
        if over is not None:
            raise over
        self.grants.add(held)
        return held

    def crowd(self, many: int, *, asked: Asked = (), client: str = "cron") -> list[Held]:
        """Hold as many grants of different people, at the price of one signature."""
        token = self.fed.genuine(sub="one of many", client_id=client)
        people = range(many)
        return [
            self.hold_token(
                f"person {n}",
                replace(token, number=n, holders=(ISSUER, Key("client", client), Key("subject", f"person {n}"))),
                asked,
            )
            for n in people
        ]

    def take(self, raw: bytes, *, settle: bool = True) -> Receipt:
        """Hand over bytes."""
        receipt = self.fed.take(raw)
        self.grants.notice(receipt.applied, self.issuer.clock.now())
        if settle:
            self.settle()
        return receipt

    def wait(self, seconds: float, *, beating: bool = True) -> None:
        """Let time pass, with a heartbeat at its end."""
        self.issuer.clock.advance(seconds)
        if beating:
            self.take(self.issuer.heartbeat())
        self.look()

    def look(self) -> None:
        self.grants.look(self.issuer.clock.now())
        self.settle()

    def settle(self) -> None:
        while self.grants.settle(self.issuer.clock.now()):
            pass

    @property
    def until_next(self) -> float | None:
        return self.grants.until_next(self.issuer.clock.now())
