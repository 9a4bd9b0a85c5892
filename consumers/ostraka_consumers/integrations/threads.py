"""A verifier for synchronous code: Flask, Django, gRPC, and whatever else has threads and no event loop.

    verifier = ThreadVerifier(anchor, audience="orders", sources=[KafkaSource("kafka:9092")])

    with verifier:                                 # or start() and stop()
        grant = verifier.authorize(request.headers.get("Authorization"), requires="orders:create")

``authorize`` and ``verify`` may be called from any thread. ``answer_to`` gives the HTTP answer to a refusal (RFC 6750
§3, RFC 9457).

It owns one thread with an event loop, in which the feed is followed. ``verify`` is answered in the thread that asks, in
microseconds; a lock keeps it from a state that is half changed.

**Servers that fork** (gunicorn, uWSGI, multiprocessing): threads do not survive a fork. Start it in each worker, after
the fork, as with gunicorn's ``post_fork``. One that was started before refuses to decide in the child, rather than
deciding by a state that nobody renews.

**Several issuers**: ``MultiIssuerThreadVerifier([ThreadVerifier(…), ThreadVerifier(…)])``, one for each issuer, all of
them on one thread.
"""

import math
import os
import threading
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

from ostraka_consumers import limits
from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import Clock
from ostraka_consumers.grant import Grant
from ostraka_consumers.issuers import MultiIssuerVerifier
from ostraka_consumers.sources.base import Source
from ostraka_consumers.status import IssuersStatus, Status
from ostraka_consumers.trust.instant import Instant
from ostraka_consumers.trust.receipt import Receipt
from ostraka_consumers.verifier import Grace, Verifier

from ._http import Answer, answer_to
from ._threaded import Threaded

__all__ = ["Answer", "MultiIssuerThreadVerifier", "ThreadVerifier", "answer_to"]


class _Shared(Verifier):
    """A verifier whose state is changed in one thread and asked about in others."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lock = threading.Lock()
        super().__init__(*args, **options)

    def verify(self, token: str | bytes, *, max_staleness: float = math.inf, grace: Grace | None = None) -> Grant:
        with self._lock:
            return super().verify(token, max_staleness=max_staleness, grace=grace)

    def _take(self, raw: bytes, at: Instant) -> Receipt:
        with self._lock:
            return super()._take(raw, at)

    @property
    def status(self) -> Status:
        with self._lock:
            return super().status


class _SharedIssuers(MultiIssuerVerifier):
    """The same for several issuers; each of their verifiers has a lock of its own as well."""

    def __init__(self, verifiers: Collection[Verifier], *, needs: Literal["all", "any"]) -> None:
        self._lock = threading.Lock()
        super().__init__(verifiers, needs=needs)

    def verify(self, token: str | bytes, *, max_staleness: float = math.inf, grace: Grace | None = None) -> Grant:
        with self._lock:
            return super().verify(token, max_staleness=max_staleness, grace=grace)

    @property
    def status(self) -> IssuersStatus:
        with self._lock:
            return super().status


class ThreadVerifier(Threaded):
    """Decides, in whichever thread asks, what a token still allows.

    Args:
        anchor: whom to believe.
        audience: the name or names under which this service is meant by ``aud``.
        sources: where the feed comes from; any one of them is enough.
        clock: tells the time; the system's by default.
        max_staleness: seconds without news after which nothing is accepted. The root document's bound holds as well.
        ready_timeout: seconds that ``start`` waits for the feed.
        remember: how many verified tokens to keep; 0 for none.
        state_directory: where to keep a copy of what is signed; see ``Verifier``. One process each.

    Raises:
        ConfigurationError: as for ``Verifier``.
    """

    def __init__(
        self,
        anchor: TrustAnchor,
        *,
        audience: str | Collection[str],
        sources: Sequence[Source],
        clock: Clock | None = None,
        max_staleness: float | None = None,
        ready_timeout: float = limits.READY_TIMEOUT,
        remember: int = limits.REMEMBERED_TOKENS,
        state_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self._verifier: Final = _Shared(
            anchor,
            audience=audience,
            sources=sources,
            clock=clock,
            max_staleness=max_staleness,
            ready_timeout=ready_timeout,
            remember=remember,
            state_directory=state_directory,
        )
        super().__init__(self._verifier)

    @property
    def status(self) -> Status:
        """How it is, at this moment."""
        return self._verifier.status


class MultiIssuerThreadVerifier(Threaded):
    """Decides, in whichever thread asks, what a token of any of several issuers still allows.

    Args:
        verifiers: one for each issuer. All live on the one thread of this verifier; nobody else starts or stops them.
        needs: ``"all"`` or ``"any"``; see ``MultiIssuerVerifier``.

    Raises:
        ConfigurationError: as for ``MultiIssuerVerifier``.
    """

    def __init__(self, verifiers: Collection[ThreadVerifier], *, needs: Literal["all", "any"] = "all") -> None:
        self._issuers: Final = _SharedIssuers([each._verifier for each in verifiers], needs=needs)  # noqa: SLF001 - ours
        super().__init__(self._issuers)

    @property
    def status(self) -> IssuersStatus:
        """How each is, at this moment."""
        return self._issuers.status
