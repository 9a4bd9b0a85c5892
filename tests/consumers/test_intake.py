"""What each source brings, side by side."""

import logging

import pytest

from ostraka_consumers import Verifier
from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.intake import Intake, SourceStatus
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ListSource


class Two:
    """A verifier on two sources that are fed by hand."""

    def __init__(self) -> None:
        self.issuer = FakeIssuer()
        sources = [ListSource([], name="kafka"), ListSource([], name="http")]
        self.verifier = Verifier(self.issuer.anchor, audience="orders", sources=sources, clock=self.issuer.clock)
        self.issuer.open()
        for source in ("kafka", "http"):
            self.bring(source, *self.issuer.records, self.issuer.heartbeat())

    def sink(self, source: str) -> Intake:
        return self.verifier._intakes[source]

    def bring(self, source: str, *raws: bytes) -> None:
        for raw in raws:
            self.sink(source).deliver(raw)

    def status(self, source: str) -> SourceStatus:
        return self.verifier.status.sources[source]

    def both(self, *raws: bytes) -> None:
        for source in ("kafka", "http"):
            self.bring(source, *raws)


def test_each_counts_what_it_brought() -> None:
    two = Two()
    two.bring("http", b"rubbish", two.issuer.heartbeat(key=SigningKey.generate("EdDSA")))
    assert two.status("kafka").delivered == {"applied": 2, "heartbeat": 1}
    assert two.status("http").delivered == {
        "duplicate": 3,
        "refused.malformed": 1,
        "refused.unknown_key": 1,
    }
    assert two.status("http").furthest == two.status("kafka").furthest == Position(1, 2)


def test_silence_is_each_sources_own_and_a_copy_of_what_another_brought_ends_it() -> None:
    two = Two()
    assert two.sink("http").silence() == 0
    for _ in range(4):
        two.issuer.clock.advance(5)
        two.bring("http", two.issuer.heartbeat())
    assert (two.sink("kafka").silence(), two.sink("http").silence()) == (20, 0)
    beat = two.issuer.heartbeat(iat=two.issuer.now + 1)
    two.bring("http", beat)
    two.bring("kafka", beat)
    assert two.sink("kafka").silence() == 0
    two.issuer.clock.advance(7)
    two.bring("kafka", beat, two.issuer.heartbeat(iat=two.issuer.now - 9), *two.issuer.records, b"")
    assert two.sink("kafka").silence() == 7


def test_silence_before_the_first_heartbeat_has_no_end() -> None:
    two = Two()
    fresh = Verifier(two.issuer.anchor, audience="orders", sources=[ListSource([])], clock=two.issuer.clock)
    assert fresh._intakes["list"].silence() == float("inf")
    assert fresh.status.sources["list"].silence is None


def test_an_honest_source_that_is_slower_withholds_nothing() -> None:
    two = Two()
    for n in range(5):
        two.issuer.clock.advance(5)
        record, beat = two.issuer.cut_subject(f"u{n}"), two.issuer.heartbeat()
        two.bring("http", record, beat)
        two.bring("kafka", record, beat)
    assert not two.status("kafka").withholds
    assert not two.status("http").withholds
    assert two.verifier.status.alarms == ()


def test_a_source_that_speaks_of_records_it_does_not_bring_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    two = Two()
    record = two.issuer.cut_subject("alice")
    two.bring("http", record)
    found = []
    for _ in range(3):
        two.issuer.clock.advance(5)
        two.both(two.issuer.heartbeat())
        found.append(two.status("kafka").withholds)
    # The first heartbeat speaks of it; when the next one comes, it has had an interval to bring it.
    assert found == [False, True, True]
    assert not two.status("http").withholds
    assert two.verifier.status.alarms == ("withheld",)
    assert two.verifier.status.freshness == "fresh"
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "alarm withheld: source kafka speaks of records that it does not bring"
    ]
    two.bring("kafka", record)
    two.issuer.clock.advance(5)
    two.both(two.issuer.heartbeat())
    assert not two.status("kafka").withholds


def test_what_nobody_brings_is_lagging_and_nobodys_fault_alone() -> None:
    two = Two()
    two.issuer.cut_subject("alice")
    for _ in range(2):
        two.issuer.clock.advance(5)
        two.both(two.issuer.heartbeat())
    assert two.verifier.status.freshness == "lagging"
    assert not two.status("kafka").withholds
    assert two.verifier.status.alarms == ()


def test_a_source_that_connects_anew_owes_nothing_that_came_before() -> None:
    two = Two()
    two.sink("http").report("connecting")
    two.bring("kafka", *(two.issuer.cut_subject(f"u{n}") for n in range(3)))
    for _ in range(3):
        two.issuer.clock.advance(5)
        two.both(two.issuer.heartbeat())
    assert not two.status("http").withholds
    record = two.issuer.cut_subject("after that")
    two.bring("kafka", record)
    for _ in range(2):
        two.issuer.clock.advance(5)
        two.both(two.issuer.heartbeat())
    assert two.status("http").withholds


def test_a_snapshot_is_wanted_at_the_start_and_when_records_are_missing_for_long() -> None:
    two = Two()
    sink = two.sink("kafka")
    fresh = Verifier(two.issuer.anchor, audience="orders", sources=[ListSource([])], clock=two.issuer.clock)
    assert fresh._intakes["list"].wants_snapshot
    assert (fresh._intakes["list"].position, fresh._intakes["list"].root_version) == (None, 0)
    assert (sink.wants_snapshot, sink.incomplete, sink.position, sink.root_version) == (False, False, Position(1, 2), 1)
    missing = two.issuer.cut_subject("alice")
    two.bring("kafka", two.issuer.heartbeat())
    wanted = []
    for seconds in (0, 2, 0.1):
        two.issuer.clock.advance(seconds)
        wanted.append((sink.wants_snapshot, sink.incomplete))
    assert wanted == [(False, True), (False, True), (True, True)]
    two.bring("http", missing)
    assert (sink.wants_snapshot, sink.incomplete) == (False, False)


def test_two_sources_of_one_name_are_a_mistake() -> None:
    issuer = FakeIssuer()
    with pytest.raises(ConfigurationError, match="same name"):
        Verifier(issuer.anchor, audience="orders", sources=[ListSource([]), ListSource([])])


def test_an_outage_is_one_line_however_often_the_source_tries(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sink = Two().sink("kafka")
    for _ in range(3):
        sink.report("connecting")
        sink.report("waiting: no broker answers")
    assert sink.state == "waiting: no broker answers"
    sink.report("connecting")
    sink.report("reading")
    sink.report("connecting")
    sink.report("waiting: no broker answers")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "source kafka: waiting: no broker answers"),
        ("INFO", "source kafka: reading"),
        ("WARNING", "source kafka: waiting: no broker answers"),
    ]
