"""How the contract speaks to an integration."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ostraka_consumers import MultiIssuerVerifier, Requirement, Verifier
from tests.support.fake_issuer import FakeIssuer
from tests.support.several import PARTNER
from tests.support.verifiers import fed_by_hand, ready_verifier

Parts = Sequence[str | Requirement] | None
"""What is asked of everybody who comes; ``None``: a good token."""

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Said:
    """What became of a request or message.

    Attributes:
        subject: of the grant that the handler got; ``None`` if it was not called.
        code: of the refusal, or ``waits`` if it is to be taken again.
        text: whatever was said back about a refusal.
    """

    subject: str | None = None
    code: str | None = None
    text: str = ""


class Stand(Protocol):
    """A verifier that a test feeds by hand."""

    def deliver(self, raw: bytes, /) -> object: ...

    async def stop(self) -> None: ...


@asynccontextmanager
async def on_this_loop(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    """A verifier as most integrations have it."""
    verifier = await ready_verifier(issuer)
    try:
        yield verifier
    finally:
        await verifier.stop()


class Several(MultiIssuerVerifier):
    """A verifier of the issuer that speaks in the contract, and of another one that has all in common but its name."""

    def __init__(self, issuer: FakeIssuer) -> None:
        other = FakeIssuer(clock=issuer.clock, issuer=PARTNER)
        other.token_key = issuer.token_key
        super().__init__([other.verifier(ready_timeout=5), fed_by_hand(issuer)])
        self.deliver = self.of(issuer.issuer).deliver


@asynccontextmanager
async def on_this_loop_among_others(issuer: FakeIssuer) -> AsyncIterator[Several]:
    """A verifier of several issuers."""
    async with Several(issuer) as verifier:
        yield verifier


Call = Callable[[Headers], Awaitable[Said]]


@dataclass(frozen=True)
class Driver:
    """An integration.

    Attributes:
        serve: a service that asks for ``parts``, and a way to send it something with these headers.
        waits: what cannot be decided is taken again later, and nobody is told.
        other_scheme: what it says to ``Basic …``.
        on_a_loop: it works on the event loop, and must not block it.
        stand: makes the verifier that ``serve`` is given.
    """

    name: str
    serve: Callable[[Any, Parts], AbstractAsyncContextManager[Call]]
    waits: bool = False
    other_scheme: str = "no_token"
    on_a_loop: bool = True
    stand: Callable[[FakeIssuer], AbstractAsyncContextManager[Stand]] = on_this_loop

    def __str__(self) -> str:
        return self.name
