"""Kafka's access control lists; aiokafka has no calls for them. Protocol: https://kafka.apache.org/protocol#The_Messages_CreateAcls"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

_KEY = 30
_TOPIC, _LITERAL, _ALLOW = 2, 3, 3


class Operation(IntEnum):
    """What a principal may do with a topic (AclOperation)."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


class _CreateAclsResponse(Response):  # type: ignore[misc]
    API_KEY = _KEY
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(("error_code", Int16), ("error_message", String("utf-8")))),
    )


class _CreateAclsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = _KEY
    API_VERSION = 1
    RESPONSE_TYPE = _CreateAclsResponse
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("resource_pattern_type", Int8),
                ("principal", String("utf-8")),
                ("host", String("utf-8")),
                ("operation", Int8),
                ("permission_type", Int8),
            ),
        ),
    )


class _CreateAcls(Request[_CreateAclsStruct]):  # type: ignore[misc]
    API_KEY = _KEY

    def __init__(self, creations: list[tuple[Any, ...]]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[_CreateAclsStruct]) -> _CreateAclsStruct:
        return request_struct_class(self._creations)


async def allow(bootstrap: str, user: str, topic: str, operations: Iterable[Operation]) -> None:
    """Let a user do something with one topic; raises aiokafka's error if the broker refuses.

    Args:
        bootstrap: a listener on which we may change access control lists.
    """
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        creations = [(_TOPIC, topic, _LITERAL, f"User:{user}", "*", int(what), _ALLOW) for what in operations]
        response = await client.send(client.get_random_node(), _CreateAcls(creations))
    finally:
        await client.close()
    for code, message in response.results:
        if code:
            raise for_code(code)(message)
