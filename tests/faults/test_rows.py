"""The rows of the fault table in their short form: real Kafka, real processes, one fault each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.rows import ROWS
from tests.faults.rows.base import SHORT, Row
from tests.faults.stage import Stage, missing, open_stage

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.true_kafka, pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    reason = missing()
    if reason is not None:
        pytest.skip(f"needs Apache Kafka from Maven, whose listeners can be set: {reason}")
    async with open_stage() as opened:
        yield opened


@pytest.mark.parametrize("row", [row for row in ROWS if row.short], ids=lambda row: row.name)
async def test_the_promises_hold(stage: Stage, tmp_path: Path, row: Row) -> None:
    reason = row.missing()
    if reason is not None:
        pytest.skip(reason)
    result = await row.play(stage, tmp_path, SHORT)
    print(row.name, *result.figures, f"worst {result.worst}", sep="\n  ")
    assert result.broken == ()
