"""Turns, ratios and spreads."""

import pytest

from benchmarks.rounds import Fresh, Paired, Work, interleaved, spread, timed


async def test_all_take_turns_in_changing_order() -> None:
    told: list[str] = []

    def work(name: str, value: float) -> Work:
        async def share() -> float:
            told.append(name)
            return value

        return share

    works = {name: work(name, n) for n, name in enumerate("abc", start=1)}
    found = await interleaved(works, 30, floor="b")
    rounds = ["".join(told[n : n + 3]) for n in range(0, len(told), 3)]
    assert len(rounds) == 31
    assert {"".join(sorted(one)) for one in rounds} == {"abc"}
    assert set(rounds) == {"abc", "acb", "bac", "bca", "cab", "cba"}
    assert {name: one.values for name, one in found.items()} == {"a": (1,) * 30, "b": (2,) * 30, "c": (3,) * 30}
    assert {name: one.ratio for name, one in found.items()} == {"a": 0.5, "b": 1, "c": 1.5}


def test_a_ratio_is_of_the_same_moment() -> None:
    noisy = Paired(values=(20.0, 200.0, 22.0), floor=(10.0, 100.0, 10.0))
    assert (noisy.median, noisy.ratio, noisy.ratio_spread) == (22.0, 2.0, (2.0, 2.2))
    assert noisy.to_dict() == {"median": 22.0, "spread": [20.0, 200.0], "ratio": 2.0, "ratio_spread": [2.0, 2.2]}


@pytest.mark.parametrize(
    ("values", "ends"), [([1.0], (1.0, 1.0)), (list(map(float, range(100, 0, -1))), (11.0, 91.0))], ids=["one", "many"]
)
def test_spread(values: list[float], ends: tuple[float, float]) -> None:
    assert spread(values) == ends


def test_all_of_a_round_get_the_same() -> None:
    numbers = iter(range(100))
    fresh = Fresh(lambda: next(numbers), 3)
    assert [fresh() for _ in range(7)] == [0, 0, 0, 1, 1, 1, 2]


def test_every_call_is_made_once() -> None:
    calls: list[int] = []
    assert timed([lambda n=n: calls.append(n) for n in range(4)]) > 0  # type: ignore[misc]
    assert calls == [0, 1, 2, 3]
