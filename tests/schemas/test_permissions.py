import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ostraka_schemas.limits import PERMISSION_MAX_CHARS
from ostraka_schemas.permissions import Permission, covered_by_any, covers, is_permission, overlaps

PART = st.sampled_from(["*", "a", "b", "a.b", "orders"])
PERMISSION = st.builds("{}:{}".format, PART, PART)
SINGLE = st.builds("{}:{}".format, *[st.sampled_from(["a", "b", "a.b", "orders"])] * 2)

GOOD = ["orders:create", "orders:*", "*:*", "*:read", "a:b", "A.b_c-d:9", "0:0", "a" * 63 + ":" + "b" * 64]
BAD: list[object] = [
    *("", ":", "a", "a:", ":a", "a:b:c", "a::b", "a b:c", "a:b ", " a:b", "a:b\n", "a:\nb", "a:b\0"),
    *("**:a", "a*:b", "a:*b", "a:**", "*", "-a:b", ".a:b", "_a:b", "a:-", "ä:b", "a:б", "a:١", "a：b", "a/b:c"),
    *("a" * 64 + ":" + "b" * 64, "a:" + "b" * 1_000_000, "a:\ud800", None, 1, b"a:b", ["a:b"], True),
]


@pytest.mark.parametrize("text", GOOD)
def test_is_a_permission(text: str) -> None:
    assert is_permission(text)
    assert TypeAdapter(Permission).validate_python(text) == text


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_is_no_permission(text: object) -> None:
    assert not is_permission(text)
    with pytest.raises(ValidationError):
        TypeAdapter(Permission).validate_python(text, strict=True)


def test_the_longest_permission_is_as_long_as_the_bound() -> None:
    assert max(len(text) for text in GOOD) == PERMISSION_MAX_CHARS


@pytest.mark.parametrize(
    ("pattern", "permission", "covered", "met"),
    [
        ("orders:create", "orders:create", True, True),
        ("orders:create", "orders:read", False, False),
        ("orders:*", "orders:create", True, True),
        ("orders:create", "orders:*", False, True),
        ("*:create", "orders:create", True, True),
        ("*:create", "orders:*", False, True),
        ("orders:*", "*:create", False, True),
        ("*:*", "*:*", True, True),
        ("*:*", "orders:create", True, True),
        ("orders:*", "orders:*", True, True),
        ("orders:*", "order:create", False, False),
        ("orders:create", "Orders:create", False, False),
    ],
)
def test_covers_and_overlaps(pattern: str, permission: str, covered: bool, met: bool) -> None:
    assert covers(pattern, permission) == covered
    assert overlaps(pattern, permission) == met


@given(PERMISSION)
def test_covers_is_reflexive(a: str) -> None:
    assert covers(a, a)


@given(PERMISSION, PERMISSION, PERMISSION)
def test_covers_is_transitive(a: str, b: str, c: str) -> None:
    assert not (covers(a, b) and covers(b, c)) or covers(a, c)


@given(PERMISSION, PERMISSION)
def test_covering_each_other_is_being_the_same(a: str, b: str) -> None:
    assert (covers(a, b) and covers(b, a)) == (a == b)


@given(PERMISSION, PERMISSION)
def test_covers_implies_overlaps(a: str, b: str) -> None:
    assert not covers(a, b) or overlaps(a, b)


@given(PERMISSION, PERMISSION)
def test_overlaps_is_symmetric(a: str, b: str) -> None:
    assert overlaps(a, b) == overlaps(b, a)


@given(PERMISSION, PERMISSION, SINGLE)
def test_overlapping_is_having_a_single_permission_in_common(a: str, b: str, single: str) -> None:
    assert not (covers(a, single) and covers(b, single)) or overlaps(a, b)


@given(PERMISSION, SINGLE)
def test_of_a_single_permission_both_questions_have_one_answer(pattern: str, single: str) -> None:
    assert covers(pattern, single) == overlaps(pattern, single)


@given(st.lists(PERMISSION, max_size=4), PERMISSION)
def test_covered_by_any(patterns: list[str], permission: str) -> None:
    assert covered_by_any(patterns, permission) == any(covers(pattern, permission) for pattern in patterns)
