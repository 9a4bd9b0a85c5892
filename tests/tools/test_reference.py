import json
from pathlib import Path

import pytest

from ostraka_schemas.events import EVENTS
from tools import reference


def test_the_pages_in_the_repository_are_those_of_the_code() -> None:
    assert reference.out_of_date() == []


def test_every_kind_of_event_has_its_schema() -> None:
    assert {f"event-{uri.rsplit('/', 1)[-1].rsplit(':', 1)[-1]}" for uri in EVENTS} <= reference.MODELS.keys()
    assert len(reference.MODELS) == len(EVENTS) + 4


def test_what_was_written_is_up_to_date_and_an_edit_is_noticed(tmp_path: Path) -> None:
    reference.write(tmp_path)
    assert reference.out_of_date(tmp_path) == []
    page = tmp_path / reference.PAGES / "schemas" / "heartbeat.json"
    page.write_text(page.read_text().replace("epoch", "era"))
    (tmp_path / reference.PAGES / "schemas" / "gone.json").write_text("{}")
    (tmp_path / reference.PAGES / "wire.md").unlink()
    assert sorted(reference.out_of_date(tmp_path)) == [
        "docs/reference/schemas/gone.json is left over",
        "docs/reference/schemas/heartbeat.json is out of date",
        "docs/reference/wire.md is missing",
    ]
    reference.write(tmp_path)
    assert reference.out_of_date(tmp_path) == []


@pytest.mark.parametrize("name", reference.MODELS)
def test_a_schema_is_an_object_with_properties(name: str) -> None:
    schema = json.loads(reference.schema(reference.MODELS[name]))
    assert schema["type"] == "object"
    assert schema["$schema"] == reference.DIALECT
