"""The HTTP source with a real issuer, and no Kafka on the verifier's side."""

from pathlib import Path

from ostraka_consumers import Revoked, Verifier
from ostraka_consumers.sources import HttpSource
from tests.consumers.sources.recording import PATIENCE, eventually
from tests.kafka.broker import Broker
from tests.support.stack import PASSWORD, make_home, running_issuer


def accepts(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except Revoked:
        return False
    return True


async def test_a_service_without_kafka_lives_on_http_alone(kafka: Broker, topic_prefix: str, tmp_path: Path) -> None:
    home = await make_home(tmp_path / "home", kafka, f"{topic_prefix}.feed", heartbeat_interval="1")
    async with running_issuer(home) as client:
        verifier = Verifier(home.anchor, audience="orders", sources=[HttpSource(home.url)], ready_timeout=PATIENCE)
        async with verifier:
            token = (await client.login("alice", PASSWORD)).access_token
            operator = (await client.login("operator", PASSWORD)).access_token
            assert accepts(verifier, token)
            await client.revoke(operator, {"kind": "subject", "username": "alice", "reason": "gone"})
            await eventually(lambda: not accepts(verifier, token), lambda: str(verifier.status.to_dict()))
            assert verifier.status.alarms == ()
            assert verifier.status.sources["http"].state == "reading"
