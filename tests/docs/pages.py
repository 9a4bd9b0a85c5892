"""Reads pages: their fenced blocks, and where they link to."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks(path: Path, language: str | None = None) -> list[Block]:
    found = [Block(*match) for match in _BLOCK.findall(path.read_text(encoding="utf-8"))]
    return [block for block in found if language in (None, block.language)]


def links(path: Path) -> list[str]:
    return _LINK.findall(path.read_text(encoding="utf-8"))
