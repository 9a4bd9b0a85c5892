import random
from typing import Any

import pytest

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.events import PublishedKey
from ostraka_schemas.limits import RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES, SNAPSHOT_PARTS_MAX
from ostraka_schemas.records import Head, Heartbeat, Position, Record
from ostraka_schemas.snapshots import (
    SNAPSHOT,
    Contents,
    CutoffEntry,
    Denied,
    RemainingEntry,
    RevokedEntry,
    SnapshotPart,
    SnapshotState,
    cut,
    numbers_in,
    read_denied,
    read_payload,
    sign_part,
)
from tests.schemas.keys import signing_key
from tests.support.fake_issuer import FakeIssuer

FEED = signing_key("EdDSA", 4)
HEAD = Head(Position(2, 41), bytes(range(32)))
KEY = PublishedKey(
    jwk=signing_key("ES256", 1).public.to_jwk(), alg="ES256", state="active", nbf=100, exp=900, max_token_lifetime=300
)
PLACE = {"epoch": 2, "seq": 40, "iat": 1_000, "until": 1_310}


def contents(**changes: Any) -> Contents:
    return Contents(**{"latest_iat": 1_000, "keys": [KEY], "compromised": [], **changes})


def signed(state: SnapshotState, part: int = 1, parts: int = 1) -> bytes:
    said = {"iss": "https://id.example", "iat": 1_001, "jti": "j", "head": HEAD, "root_version": 3}
    return sign_part(FEED, **said, part=part, parts=parts, state=state)  # type: ignore[arg-type]


def read(raw: bytes) -> SnapshotPart:
    content = read_payload(base64url.decode(jws.split(raw, max_bytes=SNAPSHOT_PART_MAX_BYTES).payload))
    assert isinstance(content, SnapshotPart)
    return content


def test_a_small_state_is_one_part_and_comes_back_as_it_was() -> None:
    everything = contents(
        compromised=[base64url.encode(bytes(32)).decode()],
        cutoffs=[CutoffEntry(level="subject", id="alice", **PLACE), CutoffEntry(level="issuer", id="", **PLACE)],
        remaining=[RemainingEntry(level="subject", id="bob", permissions=["orders:read"], **PLACE)],
        revoked=[RevokedEntry(permission="orders:*", **PLACE)],
        denied=[(1_400, [0, 1, 2**128 - 1])],
    )
    (state,) = cut(everything)
    part = read(signed(state))
    assert (part.iss, part.iat, part.head) == ("https://id.example", 1_001, HEAD)
    assert (part.root_version, part.part, part.parts) == (3, 1, 1)
    assert part.state == state
    assert part.state.keys == [KEY]
    assert [(entry.until, list(numbers_in(read_denied(entry)))) for entry in part.state.denied] == [
        (1_400, [0, 1, 2**128 - 1])
    ]


def test_nothing_revoked_is_one_part_too() -> None:
    (state,) = cut(contents())
    assert read(signed(state)).state == SnapshotState(latest_iat=1_000, keys=[KEY])


def test_a_large_state_is_cut_into_parts_that_fit_and_nothing_is_lost() -> None:
    chance = random.Random(7)
    numbers = [chance.getrandbits(128) for _ in range(30_000)]
    cutoffs = [CutoffEntry(level="session", id=f"s{n}", **PLACE) for n in range(3_000)]
    states = list(cut(contents(cutoffs=cutoffs, denied=[(1_400, numbers[:10_000]), (1_500, numbers[10_000:])])))
    raws = [signed(state, n, len(states)) for n, state in enumerate(states, start=1)]
    assert 4 <= len(raws) <= 8
    assert all(RECORD_MAX_BYTES < len(raw) <= SNAPSHOT_PART_MAX_BYTES for raw in raws[:-1])
    parts = [read(raw).state for raw in raws]
    assert [part.keys for part in parts] == [[KEY]] + [None] * (len(parts) - 1)
    assert [entry for part in parts for entry in part.cutoffs] == cutoffs
    found = {until: [] for until in (1_400, 1_500)}  # type: dict[int, list[int]]
    for part in parts:
        for entry in part.denied:
            found[entry.until] += list(numbers_in(read_denied(entry)))
    assert found == {1_400: numbers[:10_000], 1_500: numbers[10_000:]}


def test_the_largest_head_of_a_snapshot_fits() -> None:
    wide = [
        PublishedKey(
            jwk=signing_key("ES256", n).public.to_jwk(), alg="ES256", state="active", nbf=1, exp=2, max_token_lifetime=1
        )
        for n in range(1, 6)
    ]
    dead = [base64url.encode(n.to_bytes(32)).decode() for n in range(1_024)]
    states = list(cut(contents(keys=wide, compromised=dead, denied=[(9, list(range(10_000)))])))
    assert len(states) == 2
    assert all(signed(state) for state in states)


def test_there_is_a_bound_on_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_schemas.snapshots.SNAPSHOT_PARTS_MAX", 2)
    assert len(list(cut(contents(denied=[(9, list(range(12_000)))])))) == 2
    with pytest.raises(MalformedError, match="more than 2 parts"):
        list(cut(contents(denied=[(9, list(range(40_000)))])))


@pytest.mark.parametrize(
    "change",
    [
        {"part": 0},
        {"part": 2},
        {"part": 1.0},
        {"part": True},
        {"part": None},
        {"parts": 0},
        {"root_version": 0},
        {"root_version": None},
        {"part": SNAPSHOT_PARTS_MAX + 1, "parts": SNAPSHOT_PARTS_MAX + 1},
        {"state": None},
        {"state": {}},
        {"state": {"latest_iat": -1}},
        {"state": {"latest_iat": 1, "keys": []}, "more": 1},
        {"state": {"latest_iat": 1, "pardons": []}},
        {"state": {"latest_iat": 1, "keys": [KEY.model_dump()] * 17}},
        {"state": {"latest_iat": 1, "compromised": ["short"]}},
        {"state": {"latest_iat": 1, "cutoffs": [{"level": "galaxy", "id": "x", **PLACE}]}},
        {"state": {"latest_iat": 1, "cutoffs": [{"level": "subject", "id": "x", **PLACE, "unless": "sunday"}]}},
        {"state": {"latest_iat": 1, "cutoffs": [{"level": "subject", "id": "x", **PLACE, "seq": 2**53}]}},
        {"state": {"latest_iat": 1, "revoked": [{"permission": "no colon", **PLACE}]}},
        {"state": {"latest_iat": 1, "denied": [{"until": 1, "numbers": 7}]}},
    ],
)
def test_what_is_not_understood_is_no_part(change: dict[str, Any]) -> None:
    object_ = {"root_version": 1, "part": 1, "parts": 1, "state": {"latest_iat": 1}, **change}
    feed = {"epoch": 2, "seq": 41, "hash": base64url.encode(HEAD.hash).decode()}
    payload = {"iss": "i", "iat": 1, "jti": "j", "events": {SNAPSHOT: object_}, "feed": feed}
    with pytest.raises(MalformedError):
        read_payload(strict_json.dumps(payload))


@pytest.mark.parametrize("numbers", ["AAAA", "=", "A" * 23, "é"])
def test_numbers_are_whole(numbers: str) -> None:
    with pytest.raises(MalformedError):
        read_denied(Denied(until=1, numbers=numbers))


def test_records_and_heartbeats_are_read_as_before() -> None:
    issuer = FakeIssuer()
    record, _ = issuer.open()
    payloads = [
        base64url.decode(jws.split(raw, max_bytes=RECORD_MAX_BYTES).payload) for raw in (record, issuer.heartbeat())
    ]
    assert [type(read_payload(payload)) for payload in payloads] == [Record, Heartbeat]
    with pytest.raises(MalformedError):
        read_payload(b'{"events":[]}')
