"""F23: the issuer's database is replaced by an older copy, where the topic can tell and where only verifiers can."""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ostraka_issuer.desk.children import kill_child, start_child, wait_for_end
from tests.faults.deciding import ACCEPTED
from tests.faults.history import FRESH, REVOKED, WITHOUT_NEWS, stretches
from tests.faults.proxy import CUT
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.rows.databases import contents_given_twice
from tests.faults.rows.links import first_stale, said
from tests.faults.scene import HTTP, Player, Scene, open_scene
from tests.faults.stage import ISSUER, Stage
from tests.faults.waiting import until
from tests.support.stack import until_ready

REFUSES_WITHIN = 60.0
HEARTBEATS_WITHIN = 60.0
"""An issuer whose broker is away keeps its first heartbeat back for 20 s; a busy machine takes its time besides."""
DATABASE = ("ostraka.db", "ostraka.db-wal", "ostraka.db-shm")


async def restored(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Yesterday's database is put back: the issuer refuses to run, and says why."""
    broken: list[str] = []
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "since", "after")
        with scene.fault():
            await _go_back(scene, "since")
            code, words = await _command(scene, "serve")
            if code == 0 or "older copy" not in words:
                broken.append(f"the issuer ended with {code} and without the reason")
            copy_database(directory / "today", scene.home.path)
            await scene.start_issuer()
            healed = await scene.healed()
        await scene.revoke("after")
        await scene.refused_everywhere("after")
        twice = await contents_given_twice(scene)
        return judge(
            scene,
            f"with yesterday's database it ended with exit code {code} and the reason",
            f"with today's again all were well after {healed:.1f} s",
            also=[*broken, *twice],
        )


async def restored_without_bus(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The same where no broker answers: the issuer cannot know, and its verifiers, on HTTP alone, do not believe it."""
    async with open_scene(
        stage, directory, verifiers={"v1": (HTTP,)}, max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        keeper = await scene.add_verifier("v2", (HTTP,), state=directory / "kept")
        await scene.present("steady", "since", "doomed")
        with scene.fault(reasons=WITHOUT_NEWS | {REVOKED}) as window:
            await _go_back(scene, "since", keeper)
            scene.link(ISSUER).set(CUT)
            await scene.start_issuer(ready=False)
            again = await scene.add_verifier("v2 again", (HTTP,), link="v2", state=directory / "kept")
            told = await _not_believed(scene, window.begin, (scene.players["v1"], again))
            await _open_new_epoch(scene)
            healed = await scene.healed(within=60)
            # Only now: before, the topic would have told it, and it would have ended.
            scene.calm()
            await until_ready(scene.client, scene.home)
            for token in ("steady", "since", "doomed"):
                await scene.refused_everywhere(token)
            await scene.present("in the new epoch")
        return judge(
            scene,
            *told[0],
            f"with a new epoch, signed by the root key: all well {healed:.1f} s later, and no older token accepted",
            also=told[1],
            may_alarm=["rolled_back", "withheld"],
        )


async def _not_believed(scene: Scene, since: float, players: Sequence[Player]) -> tuple[list[str], list[str]]:
    """What verifiers do that hear an issuer of yesterday: what is told of it, and what is broken."""

    def counted(player: Player) -> int:
        return player.last.counters.get("refused.forgets_records", 0)

    def everybody_knows() -> bool:
        return all(counted(player) > 1 and "rolled_back" in player.last.alarms for player in players)

    await until(
        everybody_knows,
        lambda: f"heartbeats refused: {[(p.name, dict(p.last.counters), p.last.alarms) for p in players]}",
        HEARTBEATS_WITHIN,
    )
    # It acknowledges this one, at a position that verifiers know with another content.
    assert await scene.revoke("doomed"), "a revocation needs no broker"
    await asyncio.sleep(scene.max_staleness)
    heard = [player for player in players if player.last.freshness == FRESH]
    believed = [player for player in players if player.last.decisions["steady"] == ACCEPTED]
    late = [p.name for p in players if accepted_after(p, "since", scene.revocations[0].committed_at + 10)]
    stale = first_stale(scene, "v1", since)
    refused = " and ".join(str(counted(player)) for player in players)
    return (
        [
            f"{refused} heartbeats refused, `forgets_records`; the alarm `rolled_back`, also after a restart",
            f"refused for want of news after {said(stale)}, and as long as it lasted",
        ],
        [
            *(f"{player.name} was fresh by an older copy's word" for player in heard),
            *(f"{player.name} accepted a token by an older copy's word" for player in believed),
            *(f"{name} accepted again what the older copy does not know as revoked" for name in late),
        ],
    )


def accepted_after(player: Player, token: str, moment: float) -> bool:
    """Whether a verifier accepted a token later than that."""
    return any(s.until > moment and s.moment.decisions.get(token) == ACCEPTED for s in stretches(player.seat.history))


async def _go_back(scene: Scene, since: str, keeper: Player | None = None) -> None:
    """Copy the database, revoke a token, let all know it, end the issuer, and put the copy in the place of today's.

    Args:
        keeper: a verifier that keeps its state, and is killed as soon as that holds the revocation.
    """
    await scene.end_issuer()
    copy_database(scene.home.path, scene.directory / "yesterday")
    await scene.start_issuer()
    await scene.revoke(since)
    await scene.refused_everywhere(since)
    if keeper is not None:
        head = scene.head()
        await until(lambda: keeper.last.kept == head[:2], lambda: f"{head[:2]} kept, not only {keeper.last.kept}")
        await scene.end_verifier(keeper.name)
    await scene.end_issuer()
    copy_database(scene.home.path, scene.directory / "today")
    copy_database(scene.directory / "yesterday", scene.home.path)


async def _open_new_epoch(scene: Scene) -> None:
    """What an operator does who has to live with the older copy; the root key of this home lies beside."""
    draft = str(scene.directory / "root-2.json")
    for words in (("new", "--out", draft, "--new-epoch"), ("sign", draft), ("publish", draft)):
        code, answer = await _command(scene, "root", *words)
        assert code == 0, answer


async def _command(scene: Scene, *words: str) -> tuple[int | None, str]:
    """Run an ``ostraka`` command until it ends by itself; its exit code and what it said."""
    log = scene.directory / f"{words[0]}.log"
    with log.open("wb") as output:
        process = start_child(
            [sys.executable, "-m", "ostraka_issuer", *words],
            output=output,
            environment={**os.environ, **scene.home.environment},
        )
        await wait_for_end(process, REFUSES_WITHIN)
        await kill_child(process)
    return process.returncode, log.read_text()


def copy_database(source: Path, target: Path) -> None:
    """Put the database of one directory in the place of another's."""
    target.mkdir(exist_ok=True)
    for name in DATABASE:
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copy2(source / name, target / name)


ROWS = [
    Row("F23", "the issuer's database is replaced by an older copy", restored, short=False),
    Row(
        "F23 HTTP",
        "the same with no broker in reach: verifiers on HTTP alone, one of which starts again on what it kept",
        restored_without_bus,
        short=False,
    ),
]
