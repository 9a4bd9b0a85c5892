"""Several issuers behind one question, each with a verifier of its own.

Nothing is shared between them: not the trust anchor, the keys, the deny list, the sources, freshness, alarms, what is
remembered, nor the state directory. ``iss`` of a token, which nobody has verified yet, only chooses which verifier
judges; that one verifies everything anew, ``iss`` included. So a key of one issuer never vouches for a token of
another, whatever the two have in common (RFC 8725 §3.8).
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from typing import Final, Literal

from ostraka_schemas.records import Position, Record

from .ascent import Ascent
from .claimed import AS_EVER, claimed_issuer, is_looked_up
from .clock import Clock
from .errors import ConfigurationError, VerificationError, WrongIssuer
from .grant import Grant
from .limits import REMEMBERED_TOKENS
from .memory import Memory
from .running import Running
from .status import IssuersStatus
from .verifier import Grace, Verifier


class MultiIssuerVerifier(Running):
    """Decides, locally, what a token of any of several issuers still allows.

        verifier = MultiIssuerVerifier([
            Verifier(TrustAnchor.load("ours.json"), audience="orders", sources=[KafkaSource("kafka:9092")]),
            Verifier(TrustAnchor.load("partner.json"), audience="orders", sources=[HttpSource("https://id.partner.example")]),
        ])

    The same ``sub``, ``client_id`` or ``jti`` of two issuers are two different ones: whoever tells callers apart by
    them must ask ``grant.issuer`` as well. And each issuer can put any permission into its tokens.

    Args:
        verifiers: one for each issuer. They live and end with this one; nobody else starts or stops them.
        needs: ``"all"``: it is ready, and ``start`` returns, when every issuer's tokens can be decided. ``"any"``: when
            one issuer's can; the others follow as soon as their feed can be read, and theirs alone get ``NotReady``
            until then.
        remember: of how many verified tokens to keep who judges them; 0 for none.
        jitter: picks the pause between 0 and its argument before a verifier that was not ready is started again.

    Raises:
        ConfigurationError: no verifier, two for one issuer, or ``needs`` is neither.
    """

    def __init__(
        self,
        verifiers: Collection[Verifier],
        *,
        needs: Literal["all", "any"] = "all",
        remember: int = REMEMBERED_TOKENS,
        jitter: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311 - no secret
    ) -> None:
        self._verifiers: Final = tuple(verifiers)
        self._by_issuer: Final = {verifier.anchor.issuer: verifier for verifier in self._verifiers}
        if not self._verifiers:
            raise ConfigurationError("at least one issuer is needed: give a Verifier for each")
        if len(self._by_issuer) != len(self._verifiers):
            raise ConfigurationError("two verifiers are for the same issuer; one is enough")
        if needs not in ("all", "any"):
            raise ConfigurationError(f'{needs!r} cannot be needed: write needs="all" or needs="any"')
        self._needs: Final = needs
        self._jitter: Final = jitter
        self._judges: Memory[Verifier] = Memory(remember)
        self._refusals: Counter[str] = Counter()
        self._ascent: Ascent | None = None

    # --- the question ------------------------------------------------------------------------------------------------

    def verify(self, token: str | bytes, *, max_staleness: float = AS_EVER, grace: Grace | None = None) -> Grant:
        """Decide on an access token of one of the issuers; see ``Verifier.verify``.

        Returns:
            What the token still allows; ``grant.issuer`` says by whose word.

        Raises:
            WrongIssuer: it says to be from nobody who is trusted here; at once, whoever is ready.
            VerificationError: another of its subclasses, as the issuer's own verifier raises it.
        """
        if is_looked_up(token):
            judge = self._judges.get(token)
            if judge is not None:
                return judge.verify(token, max_staleness=max_staleness, grace=grace)
        judge = self._choose(token)
        grant = judge.verify(token, max_staleness=max_staleness, grace=grace)
        # Only what was accepted is remembered, so nothing that is refused can drive out what is good.
        self._judges.put(token, judge)
        return grant

    def judge_of(self, token: str | bytes) -> Verifier:
        """The verifier of the issuer that ``token`` says to be from. It has not looked at it yet.

        Raises:
            Malformed, WrongIssuer
        """
        judge = self._by_issuer.get(claimed_issuer(token))
        if judge is None:
            raise WrongIssuer("the token is from none of the issuers that are trusted here")
        return judge

    def _choose(self, token: str | bytes) -> Verifier:
        try:
            return self.judge_of(token)
        except VerificationError as refusal:
            self._refusals[f"token.{refusal.code}"] += 1
            raise

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Follow every feed, and return once tokens can be decided: of all issuers or of one, as ``needs`` says.

        Raises:
            NotReady, SourceError, ConfigurationError: as for ``Verifier.start``, with the issuer's name before it. With
                ``needs="any"`` only if no issuer's tokens can be decided; else it is logged.
        """
        if self._ascent is not None:
            raise ConfigurationError("the verifier is running already")
        self._ascent = Ascent(self._verifiers, patient=self._needs == "any", jitter=self._jitter)
        try:
            await self._ascent.run()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop following the feeds, or starting to. Waits for every task; may be called twice."""
        ascent, self._ascent = self._ascent, None
        try:
            if ascent is not None:
                await ascent.stop()
        finally:
            await asyncio.gather(*(verifier.stop() for verifier in self._verifiers))

    def look(self) -> None:
        """Look at the clock now and end the watched grants whose time has passed; see ``Verifier.look``."""
        for verifier in self._verifiers:
            verifier.look()

    # --- what can be seen --------------------------------------------------------------------------------------------

    @property
    def issuers(self) -> tuple[str, ...]:
        """Who is trusted here."""
        return tuple(self._by_issuer)

    def of(self, issuer: str) -> Verifier:
        """The verifier of one issuer: its core, its status, its changes.

        Raises:
            ConfigurationError: the issuer is not trusted here.
        """
        verifier = self._by_issuer.get(issuer)
        if verifier is None:
            raise ConfigurationError(f"{issuer!r} is none of the issuers that are trusted here")
        return verifier

    @property
    def clock(self) -> Clock:
        """The clock of the first verifier. Each judges by its own."""
        return self._verifiers[0].clock

    @property
    def live(self) -> int:
        """How many grants are watched."""
        return sum(verifier.live for verifier in self._verifiers)

    @property
    def status(self) -> IssuersStatus:
        """How each is, at this moment."""
        issuers = {issuer: verifier.status for issuer, verifier in self._by_issuer.items()}
        ready = (all if self._needs == "all" else any)(status.ready for status in issuers.values())
        return IssuersStatus(ready=ready, issuers=issuers, counters=dict(self._refusals), remembered=len(self._judges))

    def changes(self, issuer: str) -> AsyncIterator[Record]:
        """The records of one issuer applied from now on; see ``Verifier.changes``.

        Raises:
            ConfigurationError: the issuer is not trusted here.
        """
        return self.of(issuer).changes()

    async def wait_for(self, issuer: str, position: Position, timeout: float) -> bool:
        """Wait until ``position`` of one issuer's feed is applied, at most ``timeout`` seconds. Whether it was.

        Raises:
            ConfigurationError: the issuer is not trusted here.
        """
        return await self.of(issuer).wait_for(position, timeout)
