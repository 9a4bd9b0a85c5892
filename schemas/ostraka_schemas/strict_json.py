"""JSON as RFC 8259 means it and no looser: UTF-8, no duplicate names, no NaN, bounded depth.

A duplicate name is how one token shows two faces to two parsers, so it is refused, not resolved (RFC 8725 §3.2 and
RFC 7519 §4 leave the choice). The usual reader accepts duplicates; it is made strict by a round trip: text that is
reproduced byte for byte by writing what was read can have held no name twice. Only text that is spelled otherwise
(white space, escapes) pays for the slow look.
"""

import json
from typing import Any, Final

import orjson

from .errors import MalformedError
from .limits import JSON_MAX_DEPTH

_CONTAINERS: Final = (dict, list)


def loads_object(data: bytes) -> dict[str, Any]:
    """Read ``data`` as one JSON object.

    Raises:
        MalformedError: not UTF-8, not JSON, not an object, a name twice, a number that is none, or nested too deep.
    """
    try:
        value = orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise MalformedError("not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise MalformedError("not a JSON object")
    # Brackets inside strings count too: this only decides whether the exact look is needed.
    if data.count(b"{") + data.count(b"[") > JSON_MAX_DEPTH and _deeper_than(value, JSON_MAX_DEPTH):
        raise MalformedError(f"JSON is nested deeper than {JSON_MAX_DEPTH}")
    if not _is_canonical(value, data):
        _refuse_duplicates(data)
    return value


def dumps(value: Any) -> bytes:
    """Write ``value`` as compact JSON in UTF-8, names in the order given.

    Raises:
        MalformedError: something in it has no place in JSON, or not in UTF-8.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise MalformedError("cannot be written as JSON in UTF-8") from error


def _is_canonical(value: dict[str, Any], data: bytes) -> bool:
    try:
        return orjson.dumps(value) == data
    except (orjson.JSONEncodeError, RecursionError):
        return False


def _deeper_than(value: Any, levels: int) -> bool:
    # Level by level, not branch by branch: a record can hold fifteen thousand lists, and a call for each is slow.
    inner = [value]
    for _ in range(levels):
        inner = [
            child
            for outer in inner
            for child in (outer.values() if type(outer) is dict else outer)
            if type(child) in _CONTAINERS
        ]
        if not inner:
            return False
    return True


def _refuse_duplicates(data: bytes) -> None:
    def pairs(items: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in items}) != len(items):
            raise MalformedError("a JSON object has the same name twice")

    def constant(_name: str) -> None:
        raise MalformedError("NaN and Infinity are not JSON")

    try:
        json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise MalformedError("not JSON in UTF-8") from error
