"""A short run of ``./run fuzz``, and proof that it can fail: verifiers with one rule broken are caught."""

import io
import time
from typing import Any

import pytest
from rich.console import Console

from ostraka_consumers import VerificationError, Verifier
from ostraka_consumers.clock import Instant
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.cutoffs import Cutoffs
from ostraka_consumers.trust.receipt import Receipt
from ostraka_schemas import jws
from tests.fuzzing import running
from tests.fuzzing.__main__ import main
from tests.fuzzing.verdicts import SLOWEST, Verdicts

SEED = 20_260_101
CASES = 20_000


def fuzz(target: str, cases: int, *, processes: int = 1) -> Verdicts:
    total = Verdicts()
    for _, verdicts in running.run(running.jobs(target, SEED, cases), processes=processes):
        total.add(verdicts)
    return total


def test_no_mutated_token_is_accepted_and_nothing_foreign_is_raised() -> None:
    verdicts = fuzz("tokens", CASES)
    assert verdicts.findings == []
    assert verdicts.cases == verdicts.ends.total() == CASES
    assert verdicts.ends.keys() >= {"malformed", "bad_signature", "unknown_key", "key_compromised"}
    assert 0 < verdicts.worst <= SLOWEST


def test_no_mutated_record_changes_anything_and_no_odd_one_takes_anything_back() -> None:
    verdicts = fuzz("records", CASES)
    assert verdicts.findings == []
    assert verdicts.cases == verdicts.ends.total() == CASES
    reached = {"refused.malformed", "refused.bad_signature", "refused.no_root_yet", "applied", "held", "equivocation"}
    reached |= {"heartbeat", "snapshot", "root", "refused.root_not_trusted", "duplicate.older_root"}
    assert verdicts.ends.keys() >= reached
    assert 0 < verdicts.worst <= SLOWEST


@pytest.mark.parametrize("target", running.TARGETS)
def test_a_batch_is_the_same_wherever_it_runs(target: str) -> None:
    alone, shared = fuzz(target, 1_100), fuzz(target, 1_100, processes=2)
    assert alone.cases == 1_100
    assert (alone.cases, alone.ends, alone.ways) == (shared.cases, shared.ends, shared.ways)


# --- it can fail -----------------------------------------------------------------------------------------------------


def no_signature_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(jws, "check", lambda compact, header, key: None)


def padding_taken(patch: pytest.MonkeyPatch) -> None:
    strict = jws.split
    patch.setattr(jws, "split", lambda raw, max_bytes: strict(raw.rstrip(b"= \n"), max_bytes=max_bytes))


def kid_taken_for_text(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(jws, "is_kid", lambda kid: kid.isascii())


def slow_reading(patch: pytest.MonkeyPatch) -> None:
    quick = jws.read_header

    def slow(segment: bytes, *, typ: str) -> jws.Header:
        until = time.process_time() + 2 * SLOWEST * (len(segment) > 200)
        while time.process_time() < until:
            pass
        return quick(segment, typ=typ)

    patch.setattr(jws, "read_header", slow)


def refusals_not_counted(patch: pytest.MonkeyPatch) -> None:
    verify, receive = Verifier.verify, TrustCore.receive

    def silent_verify(self: Verifier, token: Any) -> Any:
        try:
            return verify(self, token)
        except VerificationError:
            self._refusals.clear()
            raise

    def silent_receive(self: TrustCore, raw: bytes, at: Instant) -> Receipt:
        receipt = receive(self, raw, at)
        self.counters.clear()
        return receipt

    patch.setattr(Verifier, "verify", silent_verify)
    patch.setattr(TrustCore, "receive", silent_receive)


def only_the_last_cut_off_kept(patch: pytest.MonkeyPatch) -> None:
    add = Cutoffs.add

    def forgetful(self: Cutoffs, *entry: Any) -> None:
        self._latest.clear()
        add(self, *entry)

    patch.setattr(Cutoffs, "add", forgetful)


def remembered_before_it_is_verified(patch: pytest.MonkeyPatch) -> None:
    receive = TrustCore.receive

    def rash(self: TrustCore, raw: bytes, at: Instant) -> Receipt:
        if self._state is not None and type(raw) is bytes and b"." not in raw:
            self._state.skipped += 1
        return receive(self, raw, at)

    patch.setattr(TrustCore, "receive", rash)


BROKEN = [
    ("tokens", no_signature_check, "accepted"),
    ("tokens", padding_taken, "accepted"),
    ("tokens", kid_taken_for_text, "raised AttributeError"),
    ("tokens", slow_reading, "took "),
    ("tokens", refusals_not_counted, "not counted"),
    ("tokens", only_the_last_cut_off_kept, "a dead token is not refused"),
    ("records", no_signature_check, "ended as "),
    ("records", padding_taken, "ended as "),
    ("records", kid_taken_for_text, "raised AttributeError"),
    ("records", slow_reading, "took "),
    ("records", refusals_not_counted, "counted as {}"),
    ("records", only_the_last_cut_off_kept, "a cut-off was taken back"),
    ("records", remembered_before_it_is_verified, "the state has changed: skipped"),
]


@pytest.mark.parametrize(
    ("target", "rule", "said"), BROKEN, ids=[f"{target}-{rule.__name__}" for target, rule, _ in BROKEN]
)
def test_a_verifier_with_a_broken_rule_is_caught_and_the_case_can_be_replayed(
    monkeypatch: pytest.MonkeyPatch, target: str, rule: Any, said: str
) -> None:
    rule(monkeypatch)
    found = [finding for finding in fuzz(target, 3_000).findings if finding.what.startswith(said)]
    assert found
    again = running.replay(found[0].case).findings
    assert {finding.how for finding in again if finding.what.startswith(said)} == {found[0].how}
    monkeypatch.undo()
    assert running.replay(found[0].case).findings == []


# --- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=200)
    code = main(list(arguments), console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


def test_the_command_says_what_it_did_and_how_to_repeat_it() -> None:
    code, text = run("--tokens", "50", "--records", "40", "--seed", "7", "--processes", "1")
    assert code == 0
    assert "seed 7" in text
    assert "50/50" in text
    assert "40/40" in text
    code, text = run("--tokens", "1", "--records", "0", "--processes", "1")
    assert code == 0
    assert "seed " in text


def test_a_finding_is_shown_with_the_command_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    no_signature_check(monkeypatch)
    code, text = run("--tokens", "200", "--records", "0", "--seed", "7", "--processes", "1")
    assert code == 1
    case = text.split("./run fuzz --replay ")[1].split()[0]
    code, text = run("--replay", case)
    assert code == 1
    assert f"./run fuzz --replay {case}" in text


@pytest.mark.parametrize("case", ["", "tokens", "tokens:1:2", "tokens:1:2:x", "passwords:1:2:3"])
def test_what_is_no_case_is_refused(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--replay", case)
    assert "TARGET:SEED:BATCH:CASE" in capsys.readouterr().err
