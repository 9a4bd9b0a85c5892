import json
from typing import Any

from ostraka_issuer.asyncapi import app
from ostraka_schemas.topics import FEED_TOPIC, SNAPSHOTS_TOPIC


def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(app.schema.to_specification().to_json())
    return document


def test_the_topics_are_described() -> None:
    document = described()
    assert document["asyncapi"] == "3.0.0"
    channels = {channel["address"]: channel["description"] for channel in document["channels"].values()}
    assert channels.keys() == {FEED_TOPIC, SNAPSHOTS_TOPIC}
    assert all("compact JWS" in description for description in channels.values())


def test_all_payloads_are_described() -> None:
    assert {"RecordPayload", "HeartbeatPayload", "SnapshotPayload"} <= set(described()["components"]["schemas"])
