"""Starting the measured processes, talking to them, and ending them whatever happens."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 60.0
LINE_MAX_BYTES = 64 * 1024 * 1024


class Worker:
    """One process of ``benchmarks.workers``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, kind: str, config: Path) -> "Worker":
        """Start it; it answers ``ready`` when it is."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.workers",
            kind,
            str(config),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX_BYTES,
        )
        return cls(process)

    async def answer(self) -> dict[str, Any]:
        """Its next line."""
        if self._process.stdout is None:
            raise RuntimeError("the worker's output is not piped")
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_SECONDS)
        if not line:
            raise RuntimeError(f"a worker ended with exit code {await self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def say(self, value: Any) -> None:
        """Send it a line."""
        if self._process.stdin is None:
            raise RuntimeError("the worker's input is not piped")
        self._process.stdin.write(json.dumps(value).encode() + b"\n")
        await self._process.stdin.drain()

    async def finish(self, expected: int) -> dict[str, float]:
        """Wait until it has seen as much as is expected, take it, and let it end."""
        await self.say({"expect": expected})
        answer = await self.answer()
        await asyncio.wait_for(self._process.wait(), ANSWER_SECONDS)
        seen: dict[str, float] = answer["seen"]
        return seen

    async def end(self) -> None:
        """End it, if it has not ended."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
