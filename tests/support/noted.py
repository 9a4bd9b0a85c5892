"""What tests took note of for the summary at the end, also where several processes share the tests.

``note`` it where it happens; ``noted`` has all of it in the process that writes the summary, once the tests are done.
"""

from typing import Any

import pytest

_NOTES = pytest.StashKey[dict[str, list[str]]]()


def note(config: pytest.Config, about: str, text: str) -> None:
    """Take note of ``text``; the second time has no effect."""
    texts = config.stash.setdefault(_NOTES, {}).setdefault(about, [])
    if text not in texts:
        texts.append(text)


def noted(config: pytest.Config, about: str) -> list[str]:
    """Everything that was noted about it, in the order of the first time."""
    return config.stash.get(_NOTES, {}).get(about, [])


def is_one_of_many(config: pytest.Config) -> bool:
    """Whether this process runs a part of the tests, and another one sums up."""
    return hasattr(config, "workeroutput")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if is_one_of_many(session.config):
        session.config.workeroutput["noted"] = session.config.stash.get(_NOTES, {})  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # A process that was killed has nothing to say.
    for about, texts in getattr(node, "workeroutput", {}).get("noted", {}).items():
        for text in texts:
            note(node.config, about, text)
