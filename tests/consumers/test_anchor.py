from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers import ConfigurationError, TrustAnchor
from ostraka_schemas import strict_json
from ostraka_schemas.records import Position

THUMBPRINT = "A" * 43
GOOD: dict[str, Any] = {"issuer": "https://id.example", "root_thumbprints": [THUMBPRINT], "minimum": [1, 5]}


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "anchor.json"
    anchor = TrustAnchor("https://id.example", (THUMBPRINT, "E" * 43), Position(2, 9))
    path.write_bytes(anchor.to_json())
    assert TrustAnchor.load(path) == TrustAnchor.load(str(path)) == anchor


def test_the_minimum_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "anchor.json"
    path.write_bytes(strict_json.dumps({name: GOOD[name] for name in ("issuer", "root_thumbprints")}))
    assert TrustAnchor.load(path).minimum == (1, 0)


WRONG: list[Any] = [
    *(b"", b"{}", b"null", b"[]", b"\xff", b"{" * 1_000, strict_json.dumps(GOOD)[:-1] + b',"issuer":"https://evil"}'),
    *({**GOOD, "issuer": value} for value in ("", None, 1, ["https://id.example"])),
    *({**GOOD, "root_thumbprints": value} for value in ([], None, THUMBPRINT, ["A" * 42], ["A" * 42 + "B"], [1])),
    {**GOOD, "root_thumbprints": [THUMBPRINT] * 17},
    *({**GOOD, "minimum": value} for value in (None, [1], [1, 2, 3], ["1", 2], [True, 2], [1.0, 2], "12")),
]


@pytest.mark.parametrize("content", WRONG, ids=range(len(WRONG)))
def test_what_is_no_anchor_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "anchor.json"
    path.write_bytes(content if isinstance(content, bytes) else strict_json.dumps(content))
    with pytest.raises(ConfigurationError, match="is not a trust anchor"):
        TrustAnchor.load(path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path, "nul\0.json"):
        with pytest.raises(ConfigurationError, match="cannot read the trust anchor"):
            TrustAnchor.load(path)
