"""A verifier's state in Prometheus' words."""

import builtins
import importlib
import re
import sys
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ostraka_consumers import Expired, Freshness, Revoked, Verifier, WrongIssuer
from ostraka_consumers.integrations.prometheus import FAMILIES, Observed, VerifierCollector
from ostraka_consumers.trust.alarms import Alarm
from tests.support.fake_issuer import FakeIssuer
from tests.support.several import Twins
from tests.support.verifiers import ListSource, ready_verifier


def scrape(verifier: Observed) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(VerifierCollector(verifier))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


async def test_a_ready_verifier() -> None:
    issuer = FakeIssuer()
    verifier = await ready_verifier(issuer)
    issuer.clock.advance(3)
    found = scrape(verifier)
    assert found["ostraka_verifier_ready"] == 1
    assert found['ostraka_verifier_freshness{state="fresh"}'] == 1
    assert sum(value for name, value in found.items() if "_freshness{" in name) == 1
    assert found["ostraka_verifier_news_age_seconds"] == 3
    assert verifier.status.head is not None
    assert found["ostraka_verifier_seq"] == found["ostraka_verifier_known_seq"] == verifier.status.head.position.seq
    assert found["ostraka_verifier_epoch"] == 1
    assert found["ostraka_verifier_keys"] == 1
    assert found['ostraka_verifier_source_silence_seconds{source="list"}'] == 3
    assert found['ostraka_verifier_deliveries_total{outcome="heartbeat",source="list"}'] == 1
    assert found['ostraka_verifier_alarm{alarm="equivocation"}'] == 0
    await verifier.stop()


async def test_what_is_refused_denied_and_alarming() -> None:
    issuer = FakeIssuer()
    verifier = await ready_verifier(issuer)
    token = issuer.token()
    verifier.verify(token)
    issuer.clock.advance(1)
    verifier.deliver(issuer.revoke_token("another", issuer.now + 7_200))
    issuer.clock.advance(3_600)
    with pytest.raises(Expired):
        verifier.verify(token)
    found = scrape(verifier)
    assert found['ostraka_verifier_tokens_refused_total{code="expired"}'] == 1
    assert found["ostraka_verifier_tokens_by_grace_total"] == 0
    assert found["ostraka_verifier_denied_tokens"] == 1
    assert found["ostraka_verifier_remembered_tokens"] == 1
    assert found['ostraka_verifier_freshness{state="expired"}'] == 1
    await verifier.stop()


def test_one_that_was_not_started_says_so() -> None:
    issuer = FakeIssuer()
    verifier = Verifier(issuer.anchor, audience="orders", sources=[ListSource([])])
    found = scrape(verifier)
    assert found["ostraka_verifier_ready"] == 0
    assert "ostraka_verifier_seq" not in found
    assert "ostraka_verifier_news_age_seconds" not in found


def test_labels_are_of_bounded_sets() -> None:
    issuer = FakeIssuer()
    verifier = Verifier(issuer.anchor, audience="orders", sources=[ListSource([])])
    found = scrape(verifier)
    assert sum("_alarm{" in name for name in found) == len(Alarm)
    assert sum("_freshness{" in name for name in found) == len(Freshness)
    for number in range(50):
        verifier.deliver(b"garbage %d" % number)
    assert scrape(verifier).keys() == found.keys()


def test_names_follow_the_convention() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert re.fullmatch(r"ostraka_verifier_[a-z]+(_[a-z]+)*", family.name)
        assert family.help.endswith(".")


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ostraka_consumers.integrations.prometheus"
    real = builtins.__import__

    def blocked(wanted: str, *arguments: Any, **more: Any) -> Any:
        if wanted.partition(".")[0] == "prometheus_client":
            raise ImportError(wanted)
        return real(wanted, *arguments, **more)

    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(ImportError, match=r"ostraka-consumers\[prometheus\]"):
        importlib.import_module(name)


async def test_several_issuers_each_under_its_own_name() -> None:
    twins = Twins()
    async with twins.verifier() as verifier:
        twins.partner.cut_subject("bob")
        twins.ours.advance(16)
        with pytest.raises(WrongIssuer):
            verifier.verify(twins.stranger.token())
        with pytest.raises(Revoked):
            verifier.verify(twins.partner.token(sub="bob", fv=[1, 2]))
        found = scrape(verifier)
    ours, partner = (f'issuer="{issuer.issuer}"' for issuer in twins.trusted)
    assert (found[f"ostraka_verifier_seq{{{ours}}}"], found[f"ostraka_verifier_seq{{{partner}}}"]) == (2, 3)
    assert found[f'ostraka_verifier_freshness{{{ours},state="fresh"}}'] == 1
    assert found[f'ostraka_verifier_freshness{{{partner},state="stale"}}'] == 1
    refused = {name: value for name, value in found.items() if name.startswith("ostraka_verifier_tokens_refused")}
    assert refused == {
        f'ostraka_verifier_tokens_refused_total{{code="revoked",{partner}}}': 1,
        'ostraka_verifier_tokens_refused_total{code="wrong_issuer",issuer=""}': 1,
    }
    assert {name.partition("{")[0] for name in found} <= {family.name for family in FAMILIES}
