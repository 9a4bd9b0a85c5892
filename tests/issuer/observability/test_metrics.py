"""/metrics of a running issuer, and the rules that all of its metrics keep."""

import re
from pathlib import Path
from typing import Any

import pytest

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.role import FeedRole
from ostraka_issuer.observability.families import LOOKED_AT
from ostraka_issuer.observability.metrics import COUNTED, Metrics
from ostraka_issuer.observability.requests import Request
from tests.issuer.front import Desk, open_desk


async def scrape(desk: Desk) -> dict[str, float]:
    answer = await desk.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_an_issuer_shows_what_it_does(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        alice = await desk.login("alice")
        await desk.refresh(alice["refresh_token"])
        wrong = await desk.client.post("/login", json={"username": "alice", "password": "wrong password"})
        assert wrong.status_code == 401
        bearer = await desk.bearer()
        answer = await desk.client.post(
            "/admin/revocations", json={"kind": "subject", "username": "alice"}, headers=bearer
        )
        await desk.applied(answer)
        await desk.client.get("/admin/keys/nobody-knows-me/?a=b")
        found = await scrape(desk)
        head = desk.issuer.feed.head()
    assert found['ostraka_logins_total{outcome="accepted"}'] == 2
    assert found[f'ostraka_logins_total{{outcome="{wrong.json()["code"]}"}}'] == 1
    assert found['ostraka_tokens_issued_total{grant="password"}'] == 2
    assert found['ostraka_tokens_issued_total{grant="refresh_token"}'] == 1
    assert found['ostraka_feed_records_total{event="session-revoked"}'] == 1
    assert found['ostraka_http_requests_total{method="POST",route="/login",status="200"}'] == 2
    assert found['ostraka_http_requests_total{method="POST",route="/login",status="401"}'] == 1
    assert found['ostraka_http_request_duration_seconds_count{method="POST",route="/login"}'] == 3
    assert found['ostraka_http_requests_total{method="GET",route="unmatched",status="404"}'] == 1
    assert head is not None
    assert found["ostraka_feed_seq"] == found["ostraka_verifier_seq"] == head.position.seq
    assert found["ostraka_feed_running"] == found["ostraka_feed_writing"] == 1
    assert found["ostraka_feed_broker_connected"] == 0
    assert found["ostraka_feed_unpublished_records"] == head.position.seq
    assert found["ostraka_feed_oldest_unpublished_age_seconds"] > 0
    assert found["ostraka_feed_heartbeat_age_seconds"] < 60
    assert found["ostraka_feed_set_aside_changes"] == 0
    assert found["ostraka_store_works"] == found["ostraka_token_keys_kept"] == found["ostraka_snapshots_work"] == 1
    assert found["ostraka_root_version"] == 1
    assert found["ostraka_passwords_pending"] == 0 < found["ostraka_passwords_places"]
    assert found['ostraka_verifier_freshness{state="fresh"}'] == 1
    assert not [name for name in found if "nobody-knows-me" in name or name.endswith("_created")]


async def test_without_the_database_it_still_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(_self: FeedRole) -> Any:
        raise StoreUnavailable("the disk is gone")

    async with open_desk(tmp_path) as desk:
        monkeypatch.setattr(FeedRole, "state", gone)
        found = await scrape(desk)
    assert found["ostraka_store_works"] == 0
    assert "ostraka_feed_seq" not in found
    assert found["ostraka_verifier_ready"] == 1


async def test_two_issuers_in_one_process_count_apart(tmp_path: Path) -> None:
    async with open_desk(tmp_path / "a") as one, open_desk(tmp_path / "b") as two:
        await one.login("alice")
        assert 'ostraka_logins_total{outcome="accepted"}' in await scrape(one)
        assert 'ostraka_logins_total{outcome="accepted"}' not in await scrape(two)


async def test_what_a_caller_writes_never_makes_a_series(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        before = (await scrape(desk)).keys()
        for number in range(30):
            await desk.client.request(
                f"M{number}", f"/nowhere/{number}?x={number}", headers={"x-request-id": f"r{number}"}
            )
            await desk.client.get(f"/admin/keys/{number}")
            await desk.client.post("/login", json={"username": f"u{number}", "password": f"password {number}"})
        after = (await scrape(desk)).keys()
    # One route each, with its buckets; not one for each of the thirty.
    assert len({name for name in after - before if "_bucket" not in name}) < 20


def test_names_follow_the_convention() -> None:
    """https://prometheus.io/docs/practices/naming: base units at the end, and ``_total`` for counters only."""
    rows = [(row.name, row.kind, row.help) for row in COUNTED] + [(row.name, row.kind, row.help) for row in LOOKED_AT]
    assert len({name for name, _, _ in rows}) == len(rows)
    for name, kind, text in rows:
        assert re.fullmatch(r"ostraka_[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") is (kind == "counter")
        assert kind != "histogram" or name.endswith("_seconds")
        assert not re.search(r"_(ms|millis|minutes|age|duration)$", name)
        assert text.endswith(".")


def test_a_request_without_an_answer_counts_as_status_0() -> None:
    metrics = Metrics()
    metrics.request(Request("GET", "/feed/events", 0, False, 12.0))
    found = samples(metrics.text(None).decode())
    assert found['ostraka_http_requests_total{method="GET",route="/feed/events",status="0"}'] == 1
    assert found['ostraka_http_request_duration_seconds_sum{method="GET",route="/feed/events"}'] == 12
