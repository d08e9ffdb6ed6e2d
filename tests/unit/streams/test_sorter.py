"""What the log says of entries that were moved out of others' way: sums, not every step."""

import asyncio

import pytest
import structlog

from riptide.streams import sorter
from riptide.streams.sorter import MoveLog
from tests.support.waiting import aeventually


async def test_one_line_for_each_type_with_totals() -> None:
    moves = MoveLog()
    with structlog.testing.capture_logs() as said:
        for n in range(1000):
            moves.note("noop", [b"loud", b"t%d" % (n % 2)], 128)
        moves.note("bulk", [b"\xff"], 3)
        await asyncio.sleep(0)
        assert said == []
        moves.tell()
        moves.tell()
    lines = {line["kind"]: (line["event"], line["tenants"], line["entries"]) for line in said}
    assert len(said) == 2
    assert lines["noop"] == ("moved to the slow stream", ["loud", "t0", "t1"], 128_000)
    assert lines["bulk"] == ("moved to the slow stream", ["\ufffd"], 3)


async def test_it_is_said_after_a_while_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorter, "_TOLD_SECONDS", 0.01)
    moves = MoveLog()
    with structlog.testing.capture_logs() as said:
        for round_ in (1, 2):
            moves.note("noop", [b"loud"], round_)

            async def told(count: int = round_) -> bool:
                return len(said) == count

            await aeventually(told, "the line")
    assert [line["entries"] for line in said] == [1, 2]
