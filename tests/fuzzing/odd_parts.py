"""Parts of snapshots that the true feed key has signed, with odd state in them."""

from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

from ostraka_schemas import base64url, strict_json
from ostraka_schemas.records import Head, Position
from ostraka_schemas.snapshots import SNAPSHOT, SnapshotState
from tests.fuzzing import keys
from tests.fuzzing.texts import fragment, odd_text, value
from tests.support.fake_issuer import FakeIssuer, published

ROOM = 185_000
"""Bytes of payload that fit into a part."""


def hash_at(seq: int) -> bytes:
    """What parts and heartbeats agree to say of a position that lies ahead."""
    return sha256(str(seq).encode()).digest()


def part_text(chance: Random, issuer: FakeIssuer, here: int) -> bytes:
    """The payload of a part for a head a little further on than ``here``."""
    ahead = max(1, here + chance.choice([-1, 0, 1, 1, 2, 2, 5]))
    parts = chance.choice([1, 1, 2, 3, 1_024])
    good = issuer.snapshot_part(
        SnapshotState(latest_iat=issuer.now),
        chance.randint(1, parts),
        parts,
        head=Head(Position(1, ahead), hash_at(ahead)),
        iat=issuer.now + chance.choice([0, 0, 1]),
    )
    body = strict_json.loads_object(base64url.decode(good.split(b".")[1]))
    content = body["events"][SNAPSHOT]
    content["state"] = _state(chance, issuer)
    match chance.randrange(8):
        case 0:
            content[chance.choice([*content, "x"])] = value(chance)
        case 1:
            body[chance.choice(list(body))] = value(chance)
        case 2:
            return odd_text(chance, body, room=ROOM)
        case 3:
            content["state"]["x"] = "a hole"
            return strict_json.dumps(body).replace(b'"a hole"', fragment(chance, room=ROOM))
    return strict_json.dumps(body)


def _state(chance: Random, issuer: FakeIssuer) -> dict[str, Any]:
    now = issuer.now
    moment = {"epoch": 1, "seq": chance.choice([0, 1, 3]), "iat": now, "until": now + 1_000}
    holder = {"level": chance.choice(["issuer", "client", "subject", "session"]), "id": chance.choice(["x", "y"])}
    makers: dict[str, Callable[[], Any]] = {
        "latest_iat": lambda: now,
        "keys": lambda: [published(key, now=now).model_dump(mode="json") for key in keys.TOKEN_KEYS[:1]],
        "compromised": lambda: [keys.COMPROMISED.public.thumbprint],
        "cutoffs": lambda: [{**moment, **holder}],
        "remaining": lambda: [{**moment, **holder, "permissions": ["a:b"]}],
        "revoked": lambda: [{**moment, "permission": "a:b"}],
        "denied": lambda: [{"until": now + 100, "numbers": "A" * 64}],
    }
    state = {name: make() for name, make in makers.items() if name == "latest_iat" or chance.random() < 0.5}
    if chance.random() < 0.5:
        _spoil(chance, state)
    if chance.random() < 0.1:
        _widen(chance, state)
    return state


def _spoil(chance: Random, state: dict[str, Any]) -> None:
    name = chance.choice([*state, "x"])
    entries = state.get(name)
    if isinstance(entries, list) and entries and isinstance(entries[0], dict) and chance.random() < 0.7:
        state[name] = [{**entries[0], chance.choice([*entries[0], "x"]): value(chance)}]
    else:
        state[name] = value(chance)


def _widen(chance: Random, state: dict[str, Any]) -> None:
    """As much as fits, of one kind; or as many members as fit that nobody knows."""
    if chance.random() < 0.2:
        state |= {f"x{number}": 0 for number in range(ROOM // 12)}
        return
    name = chance.choice(list(state))
    entries = state[name]
    if not isinstance(entries, list) or not entries:
        return
    size = len(strict_json.dumps(entries[0])) + 1
    if isinstance(entries[0], dict) and "numbers" in entries[0]:
        state[name] = [{**entries[0], "numbers": "A" * (ROOM - 2_000)}]
    elif isinstance(entries[0], dict) and "id" in entries[0]:
        state[name] = [{**entries[0], "id": f"{n}"} for n in range((ROOM - 2_000) // (size + 6))]
    else:
        state[name] = [entries[0]] * ((ROOM - 2_000) // size)
