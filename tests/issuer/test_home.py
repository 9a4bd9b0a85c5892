import os
from pathlib import Path

import pytest

from ostraka_issuer.errors import HomeError
from ostraka_issuer.home import Home, read_json, write_file, write_json


def test_json_round_trip_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX thing")
def test_mode_holds_from_the_first_moment(tmp_path: Path) -> None:
    write_file(tmp_path / "secret", b"x", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_file(path, b"old", mode=0o600)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HomeError, match="No space left"):
        write_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a":1,"a":2}', b"\xff", b" " * 70_000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(HomeError, match=r"x\.json"):
        read_json(path)


def test_a_home_that_is_not_finished_says_what_is_missing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.secret.touch()
    with pytest.raises(HomeError, match=r"anchor\.json.*ostraka init") as caught:
        home.require()
    assert "secret.key" not in str(caught.value)
