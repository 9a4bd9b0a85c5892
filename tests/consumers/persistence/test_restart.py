"""A restarted verifier knows what it knew, decides nothing before a heartbeat comes, and goes no further back."""

import asyncio
import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers import ConfigurationError, NotReady, Revoked, Verifier
from ostraka_consumers.persistence import frames
from ostraka_consumers.persistence.lock import Lock
from ostraka_consumers.persistence.store import Store
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ListSource

from .lives import DEADLINE, Story, essence, living, new_verifier, position, restored, written

KINDS: dict[str, dict[str, Any]] = {
    "records": {},
    "snapshot": {"snapshot": True},
    "new epoch": {"epochs": 2},
    "epoch after snapshot": {"epochs": 3, "snapshot": True},
}


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_restarted_verifier_knows_what_it_knew(tmp_path: Path, kind: str) -> None:
    story = Story(**KINDS[kind])
    directory = tmp_path / "deep" / "state"
    async with living(story.issuer, directory, story.raws) as verifier:
        known, root = essence(verifier), verifier.core.root_version
        assert known == story.reference.states[story.issuer.head.position]
    again = await restored(story.issuer, directory)
    story.reference.check(again)
    assert (essence(again), again.core.root_version) == (known, root)
    assert again.status.sources["state directory"].state == f"read, up to {story.issuer.head.position}"
    async with living(story.issuer, directory) as verifier:
        story.issuer.clock.advance(1)
        with pytest.raises(Revoked):
            verifier.verify(story.issuer.token(sub="bob", fv=[story.issuer.epoch, 1]))
        assert verifier.verify(story.issuer.token(sub="bob")).subject == "bob"
        verifier.deliver(story.issuer.cut_subject("bob"))
        known = essence(verifier)
    assert essence(await restored(story.issuer, directory)) == known


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_known_is_written_down_while_it_lives(tmp_path: Path, kind: str) -> None:
    story = Story(**KINDS[kind])
    async with living(story.issuer, tmp_path / "state", story.raws) as verifier:
        await written(verifier)
        story.reference.check(await restored(story.issuer, tmp_path / "state"))
        verifier.deliver(story.issuer.cut_client("web"))
        await written(verifier)
        assert essence(await restored(story.issuer, tmp_path / "state")) == essence(verifier)


async def test_records_that_came_before_their_turn_are_kept_too(tmp_path: Path) -> None:
    story = Story()
    first, *before, new_key, bob, carol = story.raws
    async with living(story.issuer, tmp_path / "state", [first, *reversed(before), new_key, carol, bob]):
        pass
    story.reference.check(again := await restored(story.issuer, tmp_path / "state"))
    assert position(again) == story.issuer.head.position


async def test_the_copy_vouches_for_nothing_however_young_it_is(tmp_path: Path) -> None:
    story = Story(snapshot=True)
    async with living(story.issuer, tmp_path / "state", story.raws):
        pass
    again = await restored(story.issuer, tmp_path / "state")
    assert again.core.age(story.issuer.clock.now()) is None
    # Nor does it when more records come, or what it holds comes again: only with a heartbeat is anything decided.
    late = new_verifier(
        story.issuer, tmp_path / "state", [*story.raws[-2:], story.issuer.cut_client("cron")], ready_timeout=0.05
    )
    with pytest.raises(NotReady, match="no heartbeat vouches for it yet"):
        await late.start()
    with pytest.raises(NotReady):
        late.verify(story.issuer.token())
    # The very heartbeat that lies in the copy will do, if a source brings it.
    story = Story(snapshot=True)
    async with living(story.issuer, tmp_path / "other", story.raws):
        pass
    async with new_verifier(story.issuer, tmp_path / "other", [story.issuer.heartbeat()]) as verifier:
        assert verifier.status.ready


async def test_an_old_heartbeat_makes_nobody_ready(tmp_path: Path) -> None:
    story = Story()
    async with living(story.issuer, tmp_path / "state", story.raws):
        old = story.issuer.heartbeat()
    story.issuer.clock.advance(100)
    verifier = new_verifier(story.issuer, tmp_path / "state", [old], ready_timeout=0.05)
    with pytest.raises(NotReady, match="the newest heartbeat is too old"):
        await verifier.start()


async def test_the_time_that_a_copy_shows_is_not_forgotten(tmp_path: Path) -> None:
    story = Story(snapshot=True)
    async with living(story.issuer, tmp_path / "state", story.raws):
        pass
    signed = story.issuer.now
    story.issuer.clock.step_wall(-5)
    again = await restored(story.issuer, tmp_path / "state")
    assert again.core.now(story.issuer.clock.now()) == signed


# --- an old copy -----------------------------------------------------------------------------------------------------


async def test_an_old_copy_put_back_has_to_come_as_far_as_the_verifier_was(tmp_path: Path) -> None:
    directory, story = tmp_path / "state", Story()
    async with living(story.issuer, directory, story.raws) as verifier:
        await written(verifier)
        old = {name: raw for name, raw in files(directory).items() if name not in ("position", "lock")}
        stale_head, before = story.issuer.head, story.issuer.heartbeat()
        verifier.deliver(story.issuer.cut_subject("dora"))
    for name, raw in old.items():
        (directory / name).write_bytes(raw)
    # A feed that ends where the copy does is not enough, even if a heartbeat of now vouches for it.
    verifier = new_verifier(
        story.issuer, directory, [before, story.issuer.heartbeat(head=stale_head)], ready_timeout=0.05
    )
    with pytest.raises(NotReady, match=r"ends at 1:7, but the state directory says it was at 1:8"):
        await verifier.start()
    async with living(story.issuer, directory, story.issuer.records) as verifier:
        assert position(verifier) == Position(1, 8)


async def test_all_of_it_lost_is_a_cold_start(tmp_path: Path) -> None:
    directory, story = tmp_path / "state", Story()
    async with living(story.issuer, directory, story.raws):
        pass
    shutil.rmtree(directory)
    async with living(story.issuer, directory, story.raws) as verifier:
        assert position(verifier) == story.issuer.head.position
    anchor = replace(story.issuer.anchor, minimum=Position(1, 99))
    shutil.rmtree(directory)
    verifier = new_verifier(
        story.issuer, directory, [*story.raws, story.issuer.heartbeat()], anchor=anchor, ready_timeout=0.05
    )
    with pytest.raises(NotReady, match="the trust anchor asks for at least 1:99"):
        await verifier.start()


async def test_only_the_position_left_is_a_cold_start_that_comes_as_far(tmp_path: Path) -> None:
    directory, story = tmp_path / "state", Story()
    async with living(story.issuer, directory, story.raws):
        pass
    for name in ("roots", "journal"):
        (directory / name).unlink()
    short = new_verifier(story.issuer, directory, [*story.raws[:2], story.issuer.heartbeat()], ready_timeout=0.05)
    with pytest.raises(NotReady):
        await short.start()
    async with living(story.issuer, directory, story.raws) as verifier:
        assert position(verifier) == story.issuer.head.position
    story.reference.check(await restored(story.issuer, directory))


async def test_an_epoch_that_was_left_is_not_gone_back_to(tmp_path: Path) -> None:
    directory, story = tmp_path / "state", Story()
    issuer = story.issuer
    async with living(issuer, directory, story.raws) as verifier:
        await written(verifier)
        old, last = files(directory), issuer.heartbeat()
        for raw in issuer.adopt_root(issuer.next_root(epoch=2)):
            verifier.deliver(raw)
    assert position(await restored(issuer, directory)) == Position(2, 2)
    for name in ("roots", "journal"):
        (directory / name).write_bytes(old[name])
    verifier = new_verifier(issuer, directory, [last], ready_timeout=0.05)
    with pytest.raises(NotReady, match=r"ends at 1:7, but the state directory says it was at 2:2"):
        await verifier.start()
    async with living(issuer, directory, issuer.records) as verifier:
        assert position(verifier) == Position(2, 2)


# --- what does not belong there --------------------------------------------------------------------------------------


async def test_what_is_refused_is_not_written_and_what_lies_there_is_refused(tmp_path: Path) -> None:
    directory, story = tmp_path / "state", Story()
    issuer, thief = story.issuer, SigningKey.generate("EdDSA")
    good = issuer.cut_subject("dora")
    issuer.records.pop()
    forged = issuer.sign_payload(issuer.payload({"urn:ostraka:event:issuer-cutoff": {}}), key=thief)
    async with living(issuer, directory, [*story.raws, forged, b"rubbish", good[:-1]]) as verifier:
        await written(verifier)
    assert all(raw not in content for raw in (forged, b"rubbish") for content in files(directory).values())
    with (directory / "journal").open("ab") as file:
        for raw in (forged, b"rubbish", good):
            file.write(frames.frame(raw))
    story.reference.check(again := await restored(issuer, directory))
    assert again.status.counters["refused.unknown_key"] > 0
    assert position(again) == issuer.head.position
    # And what comes next takes the place of what was refused.
    async with living(issuer, directory, [issuer.cut_subject("eve")]) as verifier:
        known = essence(verifier)
    assert essence(await restored(issuer, directory)) == known
    assert forged not in files(directory)["journal"]


async def test_the_copy_of_another_issuer_is_of_no_use(tmp_path: Path) -> None:
    directory, story, other = tmp_path / "state", Story(), FakeIssuer()
    async with living(story.issuer, directory, story.raws):
        pass
    # It had come further than the other one is, and that need not be reached.
    assert len(story.issuer.records) > len(other.open())
    async with living(other, directory, other.records) as verifier:
        assert verifier.core.keys.keys[0].key.kid == other.token_key.public.kid
        known = essence(verifier)
    assert essence(await restored(other, directory)) == known


async def test_the_position_is_that_of_a_feed_as_long_as_one_of_its_root_keys_is_there(tmp_path: Path) -> None:
    directory, story = tmp_path / "state", Story()
    async with living(story.issuer, directory, story.raws):
        pass
    first, other = story.issuer.anchor, SigningKey.generate("EdDSA").public.kid
    for anchor, known in [
        (first, story.issuer.head.position),
        (replace(first, root_thumbprints=(other, *first.root_thumbprints)), story.issuer.head.position),
        (replace(first, root_thumbprints=(other,)), None),
        (replace(first, issuer="https://another.example"), None),
    ]:
        assert Store(directory, anchor).read_position() == known


# --- one process, one directory --------------------------------------------------------------------------------------


async def test_two_verifiers_cannot_have_one_directory(tmp_path: Path) -> None:
    story = Story()
    async with living(story.issuer, tmp_path, story.raws) as first:
        with pytest.raises(ConfigurationError, match="give each its own"):
            await new_verifier(story.issuer, tmp_path).start()
        with pytest.raises(ConfigurationError, match="running already"):
            await first.start()
        assert first.status.ready
        first.deliver(story.issuer.cut_subject("dora"))
        await written(first)
    async with living(story.issuer, tmp_path) as second:
        assert position(second) == story.issuer.head.position


async def test_a_verifier_may_be_stopped_and_started_again(tmp_path: Path) -> None:
    story = Story()
    verifier = new_verifier(story.issuer, tmp_path, [*story.raws, story.issuer.heartbeat()])
    async with verifier:
        pass
    verifier.deliver(story.issuer.cut_subject("dora"))
    async with verifier:
        await written(verifier)
        verifier.deliver(story.issuer.cut_subject("eve"))
    assert essence(await restored(story.issuer, tmp_path)) == essence(verifier)


@pytest.mark.parametrize("turns", range(1, 12))
async def test_a_stop_that_is_cancelled_lets_go_of_the_directory(tmp_path: Path, turns: int) -> None:
    story = Story()
    verifier = new_verifier(story.issuer, tmp_path, [*story.raws, story.issuer.heartbeat()])
    await verifier.start()
    stopping = asyncio.create_task(verifier.stop())
    for _ in range(turns):
        await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    free = Lock(tmp_path)
    async with asyncio.timeout(DEADLINE):
        while not free.is_held:
            with contextlib.suppress(BlockingIOError):
                free.take()
            await asyncio.sleep(0.005)
    free.release()
    async with living(story.issuer, tmp_path) as again:
        assert position(again) == story.issuer.head.position


async def test_a_start_that_fails_lets_go_of_the_directory(tmp_path: Path) -> None:
    story = Story()
    verifier = new_verifier(story.issuer, tmp_path, ready_timeout=0)
    for _ in range(2):
        with pytest.raises(NotReady):
            await verifier.start()
    start = asyncio.create_task(new_verifier(story.issuer, tmp_path).start())
    await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert {task for task in asyncio.all_tasks() if "ostraka" in task.get_name()} == set()
    async with living(story.issuer, tmp_path, story.raws):
        pass


@pytest.mark.parametrize("kind", ["a file", "below a file", "not a path", "nul"])
async def test_a_directory_that_can_never_work_is_said_at_once(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    issuer = FakeIssuer()
    path: Any = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "state",
        "not a path": 7,
        "nul": "a\0b",
    }[kind]
    with pytest.raises(ConfigurationError, match="state directory"):
        await new_verifier(issuer, path).start()


async def test_its_place_among_the_sources_is_taken(tmp_path: Path) -> None:
    source = ListSource([])
    source.name = "state directory"
    with pytest.raises(ConfigurationError, match="the same name"):
        Verifier(FakeIssuer().anchor, audience="orders", sources=[source], state_directory=tmp_path)


async def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    story = Story(snapshot=True)
    async with living(story.issuer, tmp_path / "state", story.raws):
        pass
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]}
    assert modes == {"state": 0o700, **dict.fromkeys(("lock", "roots", "snapshot", "journal", "position"), 0o600)}


async def test_the_status_tells_how_it_is(tmp_path: Path) -> None:
    story = Story()
    async with living(story.issuer, tmp_path, story.raws) as verifier:
        await written(verifier)
        status = verifier.status
        assert status.persisted is not None
        assert status.to_dict()["persisted"] == {
            "directory": str(tmp_path),
            "trouble": None,
            "kept": [1, 7],
            "reached": [1, 7],
            "waiting": 0,
            "dropped": 0,
            "failures": 0,
        }
