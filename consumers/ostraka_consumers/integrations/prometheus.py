"""A verifier's state for Prometheus, looked at when somebody scrapes.

    registry.register(VerifierCollector(verifier))

Nothing is counted here: what ``verifier.status`` says is put into Prometheus' words. No label comes from a token. Of a
verifier of several issuers each metric has one more label, ``issuer``; it is empty on what was refused before anybody
was asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from ostraka_consumers.status import IssuersStatus, Status
from ostraka_consumers.trust.alarms import Alarm
from ostraka_consumers.trust.freshness import Freshness

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError('the Prometheus client is missing: pip install "ostraka-consumers[prometheus]"') from error

__all__ = ["FAMILIES", "Family", "VerifierCollector"]

Samples = Iterable[tuple[Sequence[str], float]]


class Family(NamedTuple):
    """Metrics of one name.

    Attributes:
        name: as it is scraped.
        help: what it means, in one sentence.
        labels: names of its labels.
        read: values by their labels.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Status], Samples]

    @property
    def kind(self) -> str:
        """``counter`` or ``gauge``."""
        return "counter" if self.name.endswith("_total") else "gauge"


class Observed(Protocol):
    """What is shown: a verifier of one issuer or of several, on an event loop or in a thread."""

    @property
    def status(self) -> Status | IssuersStatus:
        """How it is, at this moment."""
        ...


class VerifierCollector(Collector):
    """Shows one verifier, of one issuer or of several.

    Args:
        verifier: may be started later; until then it is not ready.
    """

    def __init__(self, verifier: Observed) -> None:
        self._verifier: Final = verifier

    def describe(self) -> Iterable[Metric]:
        """The families without values: what a registry asks for when it gets the collector."""
        return [_metric(family) for family in FAMILIES]

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        status = self._verifier.status
        for family in FAMILIES:
            yield _of_one(family, status) if isinstance(status, Status) else _of_several(family, status)


def _of_one(family: Family, status: Status) -> Metric:
    metric = _metric(family)
    for labels, value in family.read(status):
        metric.add_metric(labels, value)
    return metric


def _of_several(family: Family, status: IssuersStatus) -> Metric:
    metric = _metric(family, "issuer")
    for issuer, one in status.issuers.items():
        for labels, value in family.read(one):
            metric.add_metric((issuer, *labels), value)
    if family.read is _refused:
        for labels, value in _codes(status.counters):
            metric.add_metric(("", *labels), value)
    return metric


def _metric(family: Family, *before: str) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.help, labels=(*before, *family.labels))


def _one(value: float | None) -> Samples:
    return [] if value is None else [((), float(value))]


def _freshness(status: Status) -> Samples:
    return [((state.value,), float(status.freshness is state)) for state in Freshness]


def _alarms(status: Status) -> Samples:
    return [((alarm.value,), float(alarm.value in status.alarms)) for alarm in Alarm]


def _refused(status: Status) -> Samples:
    return _codes(status.counters)


def _codes(counters: Mapping[str, int]) -> Samples:
    codes = {name: count for name, count in counters.items() if name.startswith("token.")}
    codes.pop(_GRACE, None)
    return [((name.removeprefix("token."),), float(count)) for name, count in sorted(codes.items())]


def _delivered(status: Status) -> Samples:
    found: dict[tuple[str, str], int] = {}
    for name, source in status.sources.items():
        for outcome, count in source.delivered.items():
            key = name, outcome.partition(".")[0]
            found[key] = found.get(key, 0) + count
    return [(labels, float(count)) for labels, count in sorted(found.items())]


def _silence(status: Status) -> Samples:
    return [((name,), source.silence) for name, source in status.sources.items() if source.silence is not None]


_GRACE: Final = "token.grace"

FAMILIES: Final = (
    Family("ostraka_verifier_ready", "1 if it can decide about tokens.", (), lambda s: _one(s.ready)),
    Family(
        "ostraka_verifier_freshness",
        "1 for the state it is in: how much it can vouch for. Only in `fresh` and `lagging` has it heard of late.",
        ("state",),
        _freshness,
    ),
    Family(
        "ostraka_verifier_news_age_seconds",
        "Since the newest moment that a signed heartbeat vouches for; absent before the first.",
        (),
        lambda s: _one(s.age),
    ),
    Family(
        "ostraka_verifier_epoch",
        "Epoch of the newest record applied.",
        (),
        lambda s: _one(None if s.head is None else s.head.position.epoch),
    ),
    Family(
        "ostraka_verifier_seq",
        "Place in its epoch of the newest record applied.",
        (),
        lambda s: _one(None if s.head is None else s.head.position.seq),
    ),
    Family(
        "ostraka_verifier_known_seq",
        "Place in its epoch of the furthest record known; above `ostraka_verifier_seq` while some are missing.",
        (),
        lambda s: _one(None if s.known_head is None else s.known_head.seq),
    ),
    Family("ostraka_verifier_alarm", "1 if a person must look at it.", ("alarm",), _alarms),
    Family("ostraka_verifier_tokens_refused_total", "Tokens refused, by the code of the refusal.", ("code",), _refused),
    Family(
        "ostraka_verifier_tokens_by_grace_total",
        "Tokens let through by `grace` while there was no news.",
        (),
        lambda s: _one(s.counters.get(_GRACE, 0)),
    ),
    Family(
        "ostraka_verifier_deliveries_total",
        "What became of the bytes that each source brought.",
        ("source", "outcome"),
        _delivered,
    ),
    Family(
        "ostraka_verifier_source_silence_seconds",
        "Since the source brought a newer heartbeat; absent before its first.",
        ("source",),
        _silence,
    ),
    Family("ostraka_verifier_denied_tokens", "Entries of the deny list.", (), lambda s: _one(s.denied)),
    Family("ostraka_verifier_cutoffs", "Cut-offs that some token could still meet.", (), lambda s: _one(s.cutoffs)),
    Family("ostraka_verifier_narrowings", "Permissions taken from older tokens.", (), lambda s: _one(s.narrowings)),
    Family("ostraka_verifier_keys", "Token keys known.", (), lambda s: _one(s.keys)),
    Family("ostraka_verifier_remembered_tokens", "Tokens remembered as verified.", (), lambda s: _one(s.remembered)),
)
"""Everything a verifier shows."""
