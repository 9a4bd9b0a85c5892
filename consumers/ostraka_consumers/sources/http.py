"""Follow the feed over HTTP, from the issuer itself or from whatever stands before it.

The bytes are the same as on Kafka, and so is the trust in whoever brings them: none. The server may lie, send without
end, or say nothing; it is watched by the signed heartbeats, and every answer has an end.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.uninterrupted import is_cancelled

from ._backoff import Backoff
from ._delivery import Notes
from ._http_policy import Gaps, HttpTiming, Trouble
from .base import FeedSink

if TYPE_CHECKING:
    from ._web import Web

__all__ = ["HttpSource", "HttpTiming"]

logger = logging.getLogger("ostraka.sources.http")


class HttpSource:
    """The feed from ``/feed/…`` of an issuer: a snapshot if there is need of one, then each record as it is written.

    Asks for a stream (server-sent events), and where nobody answers with one, again and again. Needs no login. Follows
    no redirect, takes no cookie and no compression, and uses no proxy that the environment names.

    Args:
        url: ``https://host[:port][/path]`` of the issuer, or ``http://…``: what is fetched is public and signed.
        ssl_context: which certificates to accept and, where asked for, which one to show; as httpx does it if left out
            (certifi, ``SSL_CERT_FILE``, ``SSL_CERT_DIR``).
        name: tells several HTTP sources of one verifier apart.
        timing: how patient it is.
        clock: seconds, monotonic.
        jitter: picks a pause between 0 and its argument.

    Raises:
        ConfigurationError: the URL is none, or holds more than it should, or httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        name: str = "http",
        timing: HttpTiming | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311 - no secret
    ) -> None:
        self._url: Final = _checked(url)
        _need_httpx()
        self._ssl_context = ssl_context
        self._name: Final = name
        self._timing: Final = timing or HttpTiming()
        self._clock: Final = clock
        self._jitter: Final = jitter

    @property
    def name(self) -> str:
        """Names the source in reports."""
        return self._name

    async def run(self, sink: FeedSink) -> None:
        """Deliver until cancelled. Outages are reported and retried, never raised."""
        backoff = Backoff(self._timing, self._jitter)
        notes = Notes(Gaps(self._timing))
        async with await self._connect() as web:
            while True:
                began = self._clock()
                sink.report("connecting")
                trouble = await self._live(web, sink, notes)
                sink.report(f"waiting: {trouble.reason}")
                if not trouble.at_once:
                    await asyncio.sleep(self._patience(trouble) + backoff.pause(self._clock() - began))

    async def _live(self, web: "Web", sink: FeedSink, notes: Notes) -> Trouble:
        from ._follower import Follower  # noqa: PLC0415 - needs httpx
        from ._web import Unavailable  # noqa: PLC0415

        try:
            return await Follower(web, sink, notes, timing=self._timing, clock=self._clock).run()
        except Unavailable as error:
            return Trouble(f"{error} ({self._url})", retry_after=error.retry_after)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return Trouble(f"the HTTP client gave up ({self._url})")
        except Exception as error:
            logger.debug("following %s failed", self._url, exc_info=error)
            return Trouble(f"{type(error).__name__} ({self._url})")

    def _patience(self, trouble: Trouble) -> float:
        return min(trouble.retry_after or 0.0, self._timing.retry_after_max)

    async def _connect(self) -> "Web":
        from ._web import Web, new_ssl_context  # noqa: PLC0415 - needs httpx

        context = self._ssl_context
        if context is None:
            context = await asyncio.to_thread(new_ssl_context, self._url)
        return Web(self._url, ssl_context=context, timing=self._timing, clock=self._clock)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    else:
        if usable and (parts.username is not None or parts.password is not None):
            raise ConfigurationError("the feed is public: leave the user name and password out of the URL")
        usable = usable and not parts.query and not parts.fragment
    if not usable or not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise ConfigurationError("that is not the URL of an issuer: write https://host or https://host:port/path")
    return url.rstrip("/?#")


def _need_httpx() -> None:
    try:
        import httpx  # noqa: F401, PLC0415 - only who uses HTTP needs it
    except ImportError as error:
        raise ConfigurationError('httpx is missing: pip install "ostraka-consumers[http]"') from error
