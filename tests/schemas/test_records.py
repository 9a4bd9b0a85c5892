from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.events import Event, IssuerCutoff, PermissionRevoked, SessionRevoked, TokensRevoked, UnknownEvent
from ostraka_schemas.limits import RECORD_MAX_BYTES, SEQ_MAX
from ostraka_schemas.records import (
    HEARTBEAT,
    Head,
    Heartbeat,
    Position,
    Record,
    read_payload,
    record_hash,
    sign_heartbeat,
    sign_record,
)
from ostraka_schemas.subjects import IssSub, Opaque, SubjectIdentifier, Uri
from tests.schemas.keys import signing_key

KEY = signing_key("EdDSA")
IDENTIFIER = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
NUMBER = st.integers(1, SEQ_MAX)
WHAT: st.SearchStrategy[tuple[SubjectIdentifier, Event]] = st.one_of(
    st.tuples(st.builds(Uri, uri=IDENTIFIER), st.just(IssuerCutoff())),
    st.tuples(st.builds(Uri, uri=IDENTIFIER), st.builds(PermissionRevoked, permission=st.just("orders:*"))),
    st.tuples(st.builds(IssSub, iss=IDENTIFIER, sub=IDENTIFIER), st.builds(SessionRevoked, event_timestamp=NUMBER)),
    st.tuples(
        st.builds(Uri, uri=IDENTIFIER),
        st.builds(TokensRevoked, tokens=st.lists(st.tuples(IDENTIFIER, NUMBER), min_size=1, max_size=3)),
    ),
)


def payload_of(raw: bytes) -> bytes:
    compact = jws.split(raw, max_bytes=RECORD_MAX_BYTES)
    header = jws.read_header(compact.header, typ="secevent+jwt")
    jws.check(compact, header, KEY.public)
    return base64url.decode(compact.payload)


@given(IDENTIFIER, NUMBER, IDENTIFIER, IDENTIFIER, NUMBER, NUMBER, st.binary(min_size=32, max_size=32), WHAT)
def test_what_was_signed_is_read_back_and_signed_alike_again(
    iss: str,
    iat: int,
    jti: str,
    txn: str,
    epoch: int,
    seq: int,
    prev: bytes,
    what: tuple[SubjectIdentifier, Event],
) -> None:
    subject, event = what
    position = Position(epoch, seq)

    def sign() -> bytes:
        return sign_record(
            KEY, iss=iss, iat=iat, jti=jti, txn=txn, position=position, prev=prev, subject=subject, event=event
        )

    assert read_payload(payload_of(sign())) == Record(iss, iat, jti, txn, position, prev, subject, event)
    assert sign() == sign()


@given(IDENTIFIER, NUMBER, IDENTIFIER, NUMBER, NUMBER, st.binary(min_size=32, max_size=32))
def test_a_heartbeat_is_read_back_and_signed_alike_again(
    iss: str, iat: int, jti: str, epoch: int, seq: int, hash_: bytes
) -> None:
    head = Head(Position(epoch, seq), hash_)
    raw = sign_heartbeat(KEY, iss=iss, iat=iat, jti=jti, head=head)
    assert read_payload(payload_of(raw)) == Heartbeat(iss, iat, jti, head)
    assert raw == sign_heartbeat(KEY, iss=iss, iat=iat, jti=jti, head=head)


def test_the_header_is_exactly_that_of_the_design() -> None:
    raw = sign_heartbeat(KEY, iss="i", iat=1, jti="j", head=Head(Position(1, 1), bytes(32)))
    assert base64url.decode(raw.split(b".")[0]) == b'{"alg":"EdDSA","kid":"%b","typ":"secevent+jwt"}' % KEY.kid.encode()


def test_a_record_that_no_verifier_would_read_is_not_signed() -> None:
    event = TokensRevoked(tokens=[("t" * 255, n) for n in range(2_000)])
    with pytest.raises(MalformedError, match="more than"):
        sign_record(
            KEY,
            iss="i",
            iat=1,
            jti="j",
            txn="t",
            position=Position(1, 1),
            prev=bytes(32),
            subject=Uri(uri="i"),
            event=event,
        )


GOOD: dict[str, Any] = {
    "iss": "i",
    "iat": 1,
    "jti": "j",
    "txn": "t",
    "sub_id": {"format": "uri", "uri": "i"},
    "events": {IssuerCutoff.uri: {}},
    "feed": {"epoch": 1, "seq": 1, "prev": "A" * 43},
}
BEAT: dict[str, Any] = {
    "iss": "i",
    "iat": 1,
    "jti": "j",
    "events": {HEARTBEAT: {}},
    "feed": {"epoch": 1, "seq": 1, "hash": "A" * 43},
}
NOT_NUMBERS: list[Any] = [None, True, 0, -1, 1.0, "1", SEQ_MAX + 1, 2**63, [1], {}]
WRONG: dict[str, list[Any]] = {
    "iss": [None, "", 1, "i" * 256, ["i"]],
    "iat": [None, -1, True, 1.0, "1", SEQ_MAX + 1],
    "jti": [None, "", 1, "j" * 256],
    "events": [
        *(None, {}, [], "x", {"u": None}, {"u": 1}, {"u": []}, [IssuerCutoff.uri]),
        *({"u": {}, "v": {}}, {HEARTBEAT: {}, IssuerCutoff.uri: {}}, {HEARTBEAT: None}),
    ],
    "feed": [
        *(None, {}, [], "1:1"),
        *({**GOOD["feed"], "hash": "A" * 43, member: value} for member in ("epoch", "seq") for value in NOT_NUMBERS),
        *(
            {**GOOD["feed"], "prev": value, "hash": value}
            for value in (None, "", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "=", "A" * 86, 1, "ä" * 43)
        ),
    ],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs], ids=lambda v: str(v)[:40])
def test_refuses(name: str, value: Any) -> None:
    for good in (GOOD, BEAT):
        read_payload(strict_json.dumps(good))
        with pytest.raises(MalformedError) as refusal:
            read_payload(strict_json.dumps({**good, name: value}))
        assert len(str(refusal.value)) < 1_000


@pytest.mark.parametrize("name", GOOD)
def test_every_member_is_needed(name: str) -> None:
    with pytest.raises(MalformedError):
        read_payload(strict_json.dumps({n: v for n, v in GOOD.items() if n != name}))


@pytest.mark.parametrize("subject", [None, {}, "i", {"format": "secret-format"}, {"format": "iss_sub"}, {"uri": "i"}])
def test_refuses_the_subject_and_does_not_repeat_it(subject: Any) -> None:
    with pytest.raises(MalformedError) as refusal:
        read_payload(strict_json.dumps({**GOOD, "sub_id": subject}))
    assert "secret-format" not in str(refusal.value)


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b"{}", b'{"events":1}', b"\xff", strict_json.dumps(GOOD)[:-1] + b',"iat":2}']
)
def test_refuses_the_text(text: bytes) -> None:
    with pytest.raises(MalformedError):
        read_payload(text)


def test_an_event_that_breaks_its_rules_leaves_the_record_its_place() -> None:
    record = read_payload(strict_json.dumps({**GOOD, "events": {PermissionRevoked.uri: {"permission": "all"}}}))
    assert isinstance(record, Record)
    assert record.event is None
    assert record.position == (1, 1)
    assert record.defect is not None
    assert "permission" in record.defect
    record = read_payload(strict_json.dumps({**GOOD, "sub_id": Opaque(id="x").model_dump()}))
    assert isinstance(record, Record)
    assert record.event is None


def test_an_unknown_event_is_a_record_like_any_other() -> None:
    record = read_payload(strict_json.dumps({**GOOD, "events": {"urn:new": {"a": [1]}}, "new": 1}))
    assert isinstance(record, Record)
    assert record.event == UnknownEvent(uri="urn:new", must_understand=False)


def test_a_snapshot_part_is_no_record() -> None:
    part = {**BEAT, "events": {"urn:ostraka:event:snapshot": {"part": 1, "parts": 1, "state": {}}}}
    with pytest.raises(MalformedError):
        read_payload(strict_json.dumps(part))


def test_positions_are_in_feed_order_and_print_short() -> None:
    assert Position(1, 9) < Position(1, 10) < Position(2, 1)
    assert str(Head(Position(1, 2), bytes(32))) == "1:2 AAAAAAAAAAAA"
    assert record_hash(b"") == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
