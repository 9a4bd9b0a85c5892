import json
from typing import Any

from ostraka_issuer.asyncapi import app
from ostraka_schemas.topics import FEED_TOPIC


def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(app.schema.to_specification().to_json())
    return document


def test_the_feed_is_described() -> None:
    document = described()
    assert document["asyncapi"] == "3.0.0"
    (channel,) = document["channels"].values()
    assert channel["address"] == FEED_TOPIC
    assert "compact JWS" in channel["description"]


def test_both_payloads_are_described() -> None:
    assert {"RecordPayload", "HeartbeatPayload"} <= set(described()["components"]["schemas"])
