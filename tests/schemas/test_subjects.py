from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ostraka_schemas.limits import ID_MAX_CHARS
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri

READER: TypeAdapter[SubjectIdentifier] = TypeAdapter(SubjectIdentifier)
USER: dict[str, Any] = {"format": "iss_sub", "iss": "https://id.example", "sub": "alice"}
SESSION: dict[str, Any] = {"format": "opaque", "id": "s-1"}

GOOD: list[tuple[dict[str, Any], type]] = [
    (USER, IssSub),
    (SESSION, Opaque),
    ({"format": "uri", "uri": "https://id.example"}, Uri),
    ({"format": "jwt_id", "iss": "https://id.example", "jti": "t-1"}, JwtId),
    ({"format": "complex", "user": USER, "session": SESSION}, Complex),
    ({"format": "complex", "application": SESSION}, Complex),
    ({**USER, "email": "ignored"}, IssSub),
]
BAD: list[Any] = [
    {},
    None,
    "alice",
    [USER],
    {"format": None},
    {"format": "email", "email": "a@b"},
    {"format": "ISS_SUB", "iss": "i", "sub": "s"},
    {"format": ["iss_sub"], "iss": "i", "sub": "s"},
    {"iss": "i", "sub": "s"},
    {"format": "iss_sub", "iss": "i"},
    {**USER, "sub": ""},
    {**USER, "sub": 1},
    {**USER, "sub": "a" * (ID_MAX_CHARS + 1)},
    {**USER, "iss": None},
    {"format": "opaque", "id": True},
    {"format": "uri"},
    {"format": "uri", "uri": "u" * 1_025},
    {"format": "jwt_id", "iss": "i", "jti": ["t"]},
    {"format": "complex", "user": SESSION},
    {"format": "complex", "user": {"iss": "i"}},
    {"format": "complex", "session": USER},
    {"format": "complex", "application": "web"},
]


@pytest.mark.parametrize(("members", "kind"), GOOD)
def test_reads(members: dict[str, Any], kind: type) -> None:
    subject = READER.validate_python(members)
    assert type(subject) is kind
    assert READER.validate_python(subject.model_dump(mode="json", exclude_none=True)) == subject


@pytest.mark.parametrize("members", BAD, ids=range(len(BAD)))
def test_refuses(members: Any) -> None:
    with pytest.raises(ValidationError):
        READER.validate_python(members)


def test_the_same_id_as_another_kind_of_subject_is_another_subject() -> None:
    opaque, user = Opaque(id="x"), IssSub(iss="x", sub="x")
    assert Complex(user=user, session=opaque) != Complex(application=opaque)
