"""JSON that is odd: in its values, in its spelling, in its size. Some of it is still JSON, some is not."""

from random import Random
from typing import Any

from ostraka_schemas import strict_json
from ostraka_schemas.limits import SEQ_MAX

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, -0.0, 1e300, 2**31, 2**32, SEQ_MAX, SEQ_MAX + 1, -SEQ_MAX, 2**63, 2**64 - 1),
    *("", " ", "0", "1", "true", "null", "\0", "\n", "x", "alice", "é", "😀", "\u202e", "a" * 255, "a" * 256),
    *("a:b", "*:*", "orders:create", "A" * 22, "A" * 43, "A" * 42 + "B", "x" * 1_025, "1.5", "1e3", "-1"),
    *([], [[]], [None], ["a"], ["a", "a"], [1, 2], [0, 0], [SEQ_MAX, SEQ_MAX], [1, "2"], [{}], ["a"] * 33),
    *({}, {"a": {}}, {"": ""}, {"alg": "none"}, {"format": "uri"}, {"en": "x"}, {"jkt": "A" * 43}, {"sub": "x"}),
)

FRAGMENTS: tuple[bytes, ...] = (
    *(
        b"NaN",
        b"nan",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"-1e400",
        b"1E+9999",
        b"1e-400",
        b"-0",
        b"01",
        b"+1",
        b".5",
    ),
    *(b"1.", b"0x10", b"1_000", b"1.0", b"18e8", b"9" * 19, b"9" * 400, b"9" * 4_301, b"0." + b"3" * 2_000),
    *(
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\xc0\xaf"',
        b'"\\u0000"',
        b'"\\x41"',
        b'"\t"',
    ),
    *(b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b"[1,]", b"{,}", b"{}{}", b"", b" ", b"'a'", b"undefined", b"/**/1"),
    *(b"[" * levels + b"]" * levels for levels in (14, 15, 16, 17, 100, 2_000)),
    *(b'{"a":' * levels + b"0" + b"}" * levels for levels in (14, 15, 16, 17, 100)),
    b"[" * 5_000,
    b'"' + b"[{" * 500 + b'"',
)
"""Bytes to stand where a value is expected."""

_WIDE_ITEMS = (
    b"[]",
    b"{}",
    b'""',
    b"0",
    b"null",
    b'"a:b"',
    b'["a",1]',
    b'{"a":1}',
    b'["\\u0061",1.0]',
    b"1e5",
    b" [ ] ",
)


def value(chance: Random) -> Any:
    """Anything that JSON can hold."""
    if chance.random() < 0.8:
        return chance.choice(VALUES)
    if chance.random() < 0.5:
        return [value(chance) for _ in range(chance.randint(0, 4))]
    return {f"{chance.choice(VALUES)}"[:20]: value(chance) for _ in range(chance.randint(0, 3))}


def fragment(chance: Random, *, room: int) -> bytes:
    """Bytes in the place of a value, at most about ``room`` of them."""
    if chance.random() < 0.9:
        return chance.choice(FRAGMENTS)[:room]
    item = chance.choice(_WIDE_ITEMS)
    count = chance.choice([200, 256, 257, 2_048, 2_049, 100_000])
    return b"[" + b",".join([item] * min(count, room // (len(item) + 1))) + b"]"


def odd_text(chance: Random, members: dict[str, Any], *, room: int = 6_000) -> bytes:
    """An object with one thing odd about it, or a few."""
    pairs = [(strict_json.dumps(name), strict_json.dumps(content)) for name, content in members.items()]
    for _ in range(1 if chance.random() < 0.8 else 3):
        _change_pairs(chance, pairs, room)
    text = b"{" + b",".join(name + b":" + content for name, content in pairs) + b"}"
    return _change_text(chance, text) if chance.random() < 0.3 else text


def _change_pairs(chance: Random, pairs: list[tuple[bytes, bytes]], room: int) -> None:
    at = chance.randrange(len(pairs)) if pairs else 0
    name, content = pairs[at] if pairs else (b'"a"', b"1")
    match chance.randrange(8):
        case 0:
            pairs[at : at + 1] = []
        case 1:
            pairs[at : at + 1] = [(name, strict_json.dumps(value(chance)))]
        case 2:
            pairs[at : at + 1] = [(name, fragment(chance, room=room))]
        case 3:
            pairs.insert(chance.randint(0, len(pairs)), (name, chance.choice([content, b'"admin"', b"99999999999"])))
        case 4:
            pairs.insert(chance.randint(0, len(pairs)), (_escaped(name), content))
        case 5:
            pairs.insert(chance.randint(0, len(pairs)), (chance.choice(FRAGMENTS)[:40], fragment(chance, room=room)))
        case 6:
            pairs[at : at + 1] = [(name, b'"' + content.replace(b'"', b"") + b'"')]
        case _:
            pairs[at : at + 1] = [(name.swapcase() if chance.random() < 0.5 else _escaped(name), content)]


def _escaped(name: bytes) -> bytes:
    return b'"\\u%04x' % name[1] + name[2:] if len(name) > 2 else name


def _change_text(chance: Random, text: bytes) -> bytes:
    match chance.randrange(9):
        case 0:
            return b"\xef\xbb\xbf" + text
        case 1:
            return text.decode("utf-8", "replace").encode(chance.choice(["utf-16", "utf-16-le", "utf-32"]))
        case 2:
            return text[: chance.randrange(len(text))]
        case 3:
            return text + chance.choice([b"{}", b",", b"\0", b" ", b"x", text])
        case 4:
            return chance.choice([b"[", b"[[", b'"', b" \n"]) + text + chance.choice([b"]", b'"', b" ", b""])
        case 5:
            return text.replace(b":", b" : ").replace(b",", b" ,\n")
        case 6:
            at = chance.randrange(len(text))
            return text[:at] + bytes([text[at] ^ (1 << chance.randrange(8))]) + text[at + 1 :]
        case 7:
            return b'{"a":' * chance.choice([8, 16, 500]) + text + b"}" * chance.choice([8, 16, 500])
        case _:
            return chance.choice([b"", b"null", b"[]", b"1", b'"{}"', b"{}"])
