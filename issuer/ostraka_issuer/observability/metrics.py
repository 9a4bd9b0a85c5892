"""Metrics of one issuer, in a registry of its own.

What exists already (the feed's state, the verifier's, the database's) is looked at when somebody scrapes; only what
would be gone by then is counted as it happens. No label ever comes from a request: routes are templates, codes and
grants are ours.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Final, NamedTuple

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ostraka_consumers.integrations.prometheus import VerifierCollector
from ostraka_consumers.verifier import Verifier

from ..feed.log import StoredRecord
from ..happenings import Sending
from .events import kind_of
from .families import LOOKED_AT, Family
from .look import Look
from .requests import Request

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


class Counted(NamedTuple):
    """A metric that is counted as things happen."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


REQUESTS: Final = Counted(
    "ostraka_http_requests_total",
    "counter",
    "Requests answered, by the template of their route; status 0: the client went away first.",
    ("method", "route", "status"),
)
REQUEST_SECONDS: Final = Counted(
    "ostraka_http_request_duration_seconds",
    "histogram",
    "From the head of a request to the end of its answer. Streams of the feed last as long as their readers stay.",
    ("method", "route"),
    (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LOGINS: Final = Counted("ostraka_logins_total", "counter", "Logins, by outcome: `accepted`, or why not.", ("outcome",))
TOKENS: Final = Counted("ostraka_tokens_issued_total", "counter", "Access tokens issued, by grant.", ("grant",))
RECORDS: Final = Counted(
    "ostraka_feed_records_total",
    "counter",
    "Records that this process gave their place in the feed, by kind of event: revocations are among them.",
    ("event",),
)
PUBLISH_SECONDS: Final = Counted(
    "ostraka_feed_publish_seconds",
    "histogram",
    "From handing a record to the Kafka client to the broker's acknowledgement, by whether it came.",
    ("outcome",),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
COUNTED: Final = (REQUESTS, REQUEST_SECONDS, LOGINS, TOKENS, RECORDS, PUBLISH_SECONDS)


class Metrics:
    """Counts what happens, and shows it together with what is.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._registry: Final = CollectorRegistry()
        self._looked: Final = _Looked()
        self._registry.register(self._looked)
        ProcessCollector(registry=self._registry)
        self._requests = self._counter(REQUESTS)
        self._request_seconds = self._histogram(REQUEST_SECONDS)
        self._logins = self._counter(LOGINS)
        self._tokens = self._counter(TOKENS)
        self._records = self._counter(RECORDS)
        self._publish_seconds = self._histogram(PUBLISH_SECONDS)

    def _counter(self, what: Counted) -> Counter:
        return Counter(what.name, what.help, what.labels, registry=self._registry)

    def _histogram(self, what: Counted) -> Histogram:
        return Histogram(what.name, what.help, what.labels, registry=self._registry, buckets=what.buckets)

    def watch(self, verifier: Verifier) -> None:
        """Show this verifier as well. Once only."""
        self._registry.register(VerifierCollector(verifier))

    # --- what happens ------------------------------------------------------------------------------------------------

    def request(self, request: Request) -> None:
        """A request has been answered."""
        self._requests.labels(request.method, request.route, str(request.status)).inc()
        self._request_seconds.labels(request.method, request.route).observe(request.seconds)

    def login(self, outcome: str) -> None:
        """A login has ended."""
        self._logins.labels(outcome).inc()

    def token(self, grant: str) -> None:
        """An access token was issued."""
        self._tokens.labels(grant).inc()

    def placed(self, records: Sequence[StoredRecord]) -> None:
        """Records were committed into the feed."""
        for record in records:
            self._records.labels(kind_of(record)).inc()

    def sending(self, _record: StoredRecord) -> Sending:
        """A record is handed to the Kafka client."""
        began = self._clock()

        def ended(error: BaseException | None) -> None:
            outcome = "acknowledged" if error is None else "failed"
            self._publish_seconds.labels(outcome).observe(self._clock() - began)

        return Sending((), ended)

    # --- what is shown -----------------------------------------------------------------------------------------------

    def text(self, look: Look | None) -> bytes:
        """Everything in Prometheus' text format; without a look, what was counted."""
        self._looked.look = look
        return generate_latest(_Plain(self._registry))


class _Looked(Collector):
    """The families of what is looked at. Nothing runs between the look and the collection."""

    def __init__(self) -> None:
        self.look: Look | None = None

    def describe(self) -> Iterable[Metric]:
        return [_metric(family) for family in LOOKED_AT]

    def collect(self) -> Iterator[Metric]:
        if self.look is None:
            return
        for family in LOOKED_AT:
            value = family.read(self.look)
            if value is not None:
                metric = _metric(family)
                metric.add_metric((), float(value))
                yield metric


def _metric(family: Family) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.help, labels=())


class _Plain(CollectorRegistry):
    """A registry without the moments at which its counters began, which nobody asks for and which double them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._whole = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._whole.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
