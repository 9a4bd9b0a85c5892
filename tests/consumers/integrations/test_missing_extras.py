"""What is not installed is named, with the command that gets it."""

import builtins
import importlib
import sys
from typing import Any

import pytest

EXTRAS = {
    "confluent": "confluent_kafka",
    "fastapi": "fastapi",
    "faststream": "faststream",
    "litestar": "litestar",
    "starlette": "starlette",
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_extra_is_named_with_the_command(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, globals_: Any = None, locals_: Any = None, wanted: Any = (), level: int = 0) -> Any:
        if level == 0 and name.partition(".")[0] == EXTRAS[extra]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, globals_, locals_, wanted, level)

    monkeypatch.setattr(builtins, "__import__", without)
    for module in (extra, "_starlette"):
        monkeypatch.delitem(sys.modules, f"ostraka_consumers.integrations.{module}", raising=False)
    with pytest.raises(ImportError, match=rf'pip install "ostraka-consumers\[{extra}\]"'):
        importlib.import_module(f"ostraka_consumers.integrations.{extra}")


@pytest.mark.parametrize("module", ["asgi", "aiokafka", "threads"])
def test_these_need_none(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, globals_: Any = None, locals_: Any = None, wanted: Any = (), level: int = 0) -> Any:
        assert level > 0 or name.partition(".")[0] not in EXTRAS.values(), name
        return real(name, globals_, locals_, wanted, level)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, f"ostraka_consumers.integrations.{module}", raising=False)
    importlib.import_module(f"ostraka_consumers.integrations.{module}")
