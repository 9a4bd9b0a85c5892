"""F18: kill -9 of the issuer at every point of a revocation. Every test run does this too: ``test_issuer_kills``."""

import uuid
from pathlib import Path

from ostraka_issuer.failpoints import NAMES
from tests.faults.rows.base import Result, Row, Scale
from tests.faults.stage import Stage
from tests.faults.test_issuer_kills import KILLS, RANDOM_KILLS, Told, at_failpoint, at_random, play


async def killed_issuer(stage: Stage, directory: Path, scale: Scale) -> Result:
    """At each failpoint, then at random moments: no acknowledged revocation is lost, the topic is the database."""
    stage.calm()
    lives = {name: at_failpoint(name, int(scale.of(1, KILLS))) for name in NAMES}
    lives["a random moment"] = at_random(int(scale.of(1, RANDOM_KILLS)))
    told: list[Told] = []
    for number, life in enumerate(lives.values()):
        home = directory / f"life-{number}"
        home.mkdir()
        told.append(await play(stage.broker, home, f"feed-{uuid.uuid4().hex[:12]}", life))
    return Result(
        (
            f"{sum(one.kills for one in told)} kills at {len(NAMES)} points and at random moments",
            (
                f"{sum(one.acknowledged for one in told)} revocations acknowledged, 0 of them lost, "
                f"{sum(one.published for one in told)} records in the topics, each as in the database"
            ),
        )
    )


ROWS = [Row("F18", "kill -9 of the issuer at each point of a revocation", killed_issuer, short=False, alone=True)]
