"""Whom a consumer of messages listens to, and how long it waits for a verifier that cannot decide."""

import asyncio
from typing import NamedTuple

from ostraka_consumers import limits
from ostraka_consumers.errors import NotReady, Stale
from ostraka_consumers.grant import Grant
from ostraka_consumers.protocol import TokenVerifier
from ostraka_consumers.requirements import Requirement

from ._bearer import AS_EVER, Freshness
from ._messages import Headers, bearer_token


class MessageGate(NamedTuple):
    """What the sender of every message must be allowed, if anything, and how much staleness is borne."""

    verifier: TokenVerifier
    requirement: Requirement | None = None
    freshness: Freshness = AS_EVER

    def decide(self, headers: Headers, freshness: Freshness | None = None) -> Grant:
        """The grant of a message with these headers.

        Args:
            freshness: how much staleness is borne, if not as much as ever.

        Raises:
            VerificationError
        """
        max_staleness, grace = freshness or self.freshness
        grant = self.verifier.verify(bearer_token(headers), max_staleness=max_staleness, grace=grace)
        if self.requirement is not None:
            grant.require(self.requirement)
        return grant

    async def decide_patiently(self, headers: Headers, patience: float, freshness: Freshness | None = None) -> Grant:
        """The same, but wait while the verifier cannot decide, at most ``patience`` seconds.

        Raises:
            VerificationError: ``NotReady`` and ``Stale`` only after that.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            try:
                return self.decide(headers, freshness)
            except (NotReady, Stale):
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(limits.MESSAGE_LOOK)
