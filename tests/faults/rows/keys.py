"""F17: token keys are stolen, one after the other, and called compromised."""

import json
from pathlib import Path

from ostraka_schemas import base64url
from tests.faults.deciding import ACCEPTED
from tests.faults.history import Revocation
from tests.faults.rows.base import Result, Row, Scale, judge, ms
from tests.faults.scene import BOTH, HTTP, KAFKA, Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import until
from tests.support.stack import PASSWORD

WITHIN = 1.0
"""Seconds in which whatever the key signed has to be refused everywhere."""
REFUSED = "key_compromised"


async def stolen_token_keys(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The key in use is called compromised: what it signed is refused at once, and the next one signs."""
    rounds = int(scale.of(3, 20))
    channels = {"v1": (KAFKA,), "v2": BOTH, "v3": (HTTP,), "v4": (KAFKA,)}
    async with open_scene(
        stage, directory, verifiers=channels, max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        names = [f"signed by key {number}" for number in range(1, rounds + 1)]
        kids = []
        for name in names:
            await scene.present(name)
            kids.append(_kid(scene.tokens[name]))
            await _compromise(scene, name, kids[-1])
        await scene.present("signed by the last key")
        late = [name for name in names if any(p.last.decisions[name] == ACCEPTED for p in scene.players.values())]
        slowest = max(scene.accepted_for(name) for name in names)
        return judge(
            scene,
            f"{rounds} keys, one after the other: what they had signed was accepted for at most {ms(slowest)}",
            "logins went on at once, with the next key",
            also=[
                *(f"{name}: accepted again" for name in late),
                *(["a key came into use twice"] if len(set(kids)) < rounds else []),
                *([f"accepted for {slowest:.1f} s"] if scale.whole and slowest > WITHIN else []),
            ],
        )


async def _compromise(scene: Scene, name: str, kid: str) -> None:
    """Call the key compromised that signed this token, and wait until every verifier refuses it for that."""
    operator = (await scene.client.login("operator", PASSWORD)).access_token
    scene.attempted.add(name)
    answer = await scene.client.compromise_key(operator, kid, reason="stolen")
    scene.revocations.append(Revocation(name, answer.committed_at))
    players = scene.players.values()
    await until(
        lambda: all(player.last.decisions[name] == REFUSED for player in players),
        lambda: f"{name} refused: {[(player.name, player.last.decisions[name]) for player in players]}",
    )


def _kid(token: str) -> str:
    kid: str = json.loads(base64url.decode(token.split(".", maxsplit=1)[0].encode()))["kid"]
    return kid


ROWS = [Row("F17", "the token key is stolen, and called compromised, again and again", stolen_token_keys)]
