import pytest

from ostraka_schemas.errors import MalformedError
from ostraka_schemas.limits import ERRORS_LISTED_MAX
from ostraka_schemas.model import Text, WireModel, validated


class Names(WireModel):
    names: dict[str, Text]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (1, r"^names: names\.n0: Input should be a valid string$"),
        (ERRORS_LISTED_MAX, r"^names: names\.n0: .*names\.n4: Input should be a valid string$"),
        (ERRORS_LISTED_MAX + 1, f"^names: {ERRORS_LISTED_MAX + 1} things are wrong$"),
        (5_000, "^names: 5000 things are wrong$"),
    ],
)
def test_a_few_errors_are_named_and_very_many_only_counted(wrong: int, said: str) -> None:
    members = {"names": {f"n{number}": number for number in range(wrong)}}
    with pytest.raises(MalformedError, match=said):
        validated(lambda: Names.model_validate(members), "names")
