import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_schemas import strict_json
from ostraka_schemas.errors import MalformedError
from tests.corpora.json_texts import READ, REFUSED

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("name", READ)
def test_reads(name: str) -> None:
    assert strict_json.loads_object(READ[name]) == json.loads(READ[name], parse_int=_integer)


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    with pytest.raises(MalformedError) as refusal:
        strict_json.loads_object(REFUSED[name])
    assert len(str(refusal.value)) < 100


@given(st.dictionaries(st.text(max_size=3), NESTED, max_size=4))
def test_what_was_written_is_read_back_however_it_is_spaced_and_escaped(value: dict[str, Any]) -> None:
    assert strict_json.loads_object(strict_json.dumps(value)) == value
    assert strict_json.loads_object(json.dumps(value, indent=1).encode()) == value


@given(st.text(max_size=4), st.lists(st.text(max_size=4), max_size=4), st.integers(0, 4), st.booleans())
def test_a_name_twice_is_refused_wherever_it_stands(name: str, others: list[str], at: int, escaped: bool) -> None:
    names = [name, *(other for other in dict.fromkeys(others) if other != name)]
    names.insert(at, name)
    text = "{" + ",".join(json.dumps(n, ensure_ascii=escaped) + ":1" for n in names) + "}"
    for whole in (text, '{"in":[' + text + "]}"):
        with pytest.raises(MalformedError):
            strict_json.loads_object(whole.encode())


@given(st.binary(max_size=60))
def test_nothing_but_our_error_comes_out(data: bytes) -> None:
    with suppress(MalformedError):
        assert isinstance(strict_json.loads_object(data), dict)


def test_it_writes_names_in_the_order_given_without_space() -> None:
    assert strict_json.dumps({"b": [1, "ä"], "a": None}) == '{"b":[1,"ä"],"a":null}'.encode()


@pytest.mark.parametrize(
    "value",
    [{"a": 2**64}, {"a": "\ud800"}, {"a": object()}, {1: 2}, {"a": b"x"}],
    ids=["beyond 64 bits", "no Unicode", "an object", "a name that is no text", "bytes"],
)
def test_what_has_no_place_in_json_is_not_written(value: Any) -> None:
    with pytest.raises(MalformedError):
        strict_json.dumps(value)


def _integer(digits: str) -> int | float:
    # What is larger than 64 bits becomes a float, and is then refused wherever an integer is asked for.
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)
