from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers.memory import Memory


@given(st.integers(-1, 6), st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefghij")), max_size=60))
def test_it_never_holds_more_than_its_capacity_and_never_mixes_values(
    capacity: int, steps: list[tuple[bool, str]]
) -> None:
    memory, put = Memory[str](capacity), set[str]()
    for is_put, key in steps:
        if is_put:
            memory.put(key, key.upper())
            put.add(key)
            assert memory.get(key) == (key.upper() if capacity > 0 else None)
        else:
            assert memory.get(key) in ({None, key.upper()} if key in put else {None})
        assert len(memory) <= max(0, capacity)


def test_what_is_asked_for_stays_and_what_is_not_goes() -> None:
    memory = Memory[int](4)
    for number in range(100):
        memory.put(str(number), number)
        memory.put("often", -1)
        assert memory.get("often") == -1
    assert memory.get("0") is None
    assert memory.get("99") == 99


def test_text_and_bytes_are_different_keys() -> None:
    memory = Memory[int](4)
    memory.put("a", 1)
    assert memory.get(b"a") is None
