"""What keeps the feed from Kafka is said in words, and once."""

from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError

from ostraka_issuer.errors import TopicMismatch
from ostraka_issuer.feed.words import explain
from tests.issuer.world import NOWHERE, new_settings


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            KafkaConnectionError("Unable to bootstrap from [('127.0.0.1', 1, <AddressFamily.AF_INET: 2>)]"),
            f"no broker answers at {NOWHERE}",
        ),
        (KafkaTimeoutError("no acknowledgement within 5 s"), "KafkaTimeoutError: no acknowledgement within 5 s"),
        (TopicMismatch("it has 4 partitions, not 1"), "it has 4 partitions, not 1"),
        (KeyError("leader"), "KeyError: 'leader'"),
        (AssertionError(), "AssertionError"),
    ],
)
async def test_a_sentence(tmp_path: Path, error: Exception, words: str) -> None:
    assert await explain(error, new_settings(tmp_path)) == words


async def test_a_right_that_is_missing_is_called_so(tmp_path: Path) -> None:
    said = await explain(TopicAuthorizationFailedError("ostraka.feed"), new_settings(tmp_path))
    assert said.startswith("the broker does not let the issuer do it (ACL): ")
    assert said.count("TopicAuthorizationFailedError") == 1
