"""Each measurement runs, with little, and says what it promises to say."""

import json
import warnings
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks import feed, messages, peers, plots, verify
from benchmarks.rounds import Paired
from benchmarks.verifiers import following, issuer_of


async def test_verify() -> None:
    cold = await verify.cold("ES256", rounds=2, tokens=4)
    assert list(cold) == [verify.BARE, verify.OSTRAKA]
    seen = await verify.seen(rounds=2, calls=5, denied=2_000)
    assert list(seen) == [verify.LOOK_UP, "seen, 0 denied", "seen, 2,000 denied"]
    assert all(one.median > 0 and len(one.values) == 2 for one in [*cold.values(), *seen.values()])


async def test_peers_without_servers_and_what_is_shown_of_them(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = await peers.compare(peers.Servers(), ["ES256", "EdDSA"], 2, 4)
    figures = json.loads(shown(found, as_json=True))["peers_us"]
    assert figures.keys() == {"cold", "seen"}
    assert figures["cold"]["EdDSA"].keys() == found["cold"]["EdDSA"].keys() >= {verify.BARE, "PyJWT", "oxyjwt"}
    assert figures["seen"]["ES256"][verify.BARE]["ratio"] == 1
    text = shown(found, as_json=False)
    assert "a token never seen" in text
    assert "apt-get install redis-server" in text
    drawn = plots.draw(tmp_path / "new", "peers", found, verify.BARE)
    assert [path.name for path in drawn] == ["peers-1.svg", "peers-1.png", "peers-2.svg", "peers-2.png"]
    assert drawn[0].read_text(encoding="utf-8").startswith("<?xml")
    assert drawn[1].read_bytes().startswith(b"\x89PNG")


def shown(found: peers.ByKind, *, as_json: bool) -> str:
    written = StringIO()
    peers.show(Console(file=written, width=200), found, as_json=as_json, rounds=2)
    return written.getvalue()


@pytest.mark.slow
async def test_introspection_and_redis_are_asked_for_real() -> None:
    async with peers.servers() as others, peers.stage("ES256", others) as ready:
        assert others.visitors is not None
        works = ready.works(4, seen=False)
        assert peers.ASKED in works
        assert (peers.REDIS in works) is (others.redis is not None)
        assert await works[peers.ASKED]() > 0


async def test_messages() -> None:
    found = await messages.measure(rounds=2, count=4)
    assert list(found) == [messages.WITHOUT, messages.SEEN, messages.REQUIRED, messages.UNSEEN]
    assert messages.added(Paired((5.0, 7.0, 9.0), (4.0, 4.0, 4.0))) == 3.0


async def test_a_handler_that_is_measured_is_guarded() -> None:
    issuer, stranger = issuer_of(), issuer_of()
    async with following(issuer) as verifier, messages.handler(verifier) as guarded:
        await messages.handing(guarded, issuer, None, 3)()
        assert "token.unknown_key" not in verifier.status.counters
        await messages.handing(guarded, stranger, None, 3)()
        assert verifier.status.counters["token.unknown_key"] == 3


async def test_feed() -> None:
    found = await feed.apply(rounds=2, records=5)
    assert list(found) == [feed.BARE, feed.APPLY]
    assert all(rate > 0 for rate in feed.bulk(records=2))


def test_what_is_not_applied_is_no_figure() -> None:
    issuer = issuer_of()
    verifier = feed.newcomer(issuer)
    raw = issuer.cut_subject("alice")
    feed.take(verifier, raw)
    with pytest.raises(RuntimeError, match="duplicate"):
        feed.take(verifier, raw)


def test_only_what_is_named_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str] = []

    def instead(name: str) -> command.Measurement:
        return lambda console, given: ran.append(name)

    for name in command.MEASUREMENTS:
        monkeypatch.setitem(command.MEASUREMENTS, name, instead(name))
    assert command.main(["peers", "verify"]) == 0
    assert ran == ["verify", "peers"]
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "there is no measurement 'nothing'" in capsys.readouterr().err
