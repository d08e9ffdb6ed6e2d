"""Which commands a person means."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from riptide.errors import InvalidInput
from riptide.state.archive.names import order
from riptide.state.replay.cursor import Cursor
from riptide.state.replay.selection import FIRST, LAST, Selection, select
from riptide.streams.message import Ref

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
MOST = 2**64 - 1


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ({}, FIRST, LAST),
        ({"since": "2026-11-20T12:00"}, f"{MS}-0", LAST),
        ({"since": "2026-11-20T13:00+01:00"}, f"{MS}-0", LAST),
        ({"since": "90s"}, f"{MS - 90_000}-0", LAST),
        ({"since": "2h", "until": "30min"}, f"{MS - 7_200_000}-0", f"{MS - 1_800_000}-{MOST}"),
        ({"since": "1d"}, f"{MS - 86_400_000}-0", LAST),
        ({"ids": "5-3..7-1"}, "5-3", "7-1"),
        ({"ids": "5..7"}, "5-0", f"7-{MOST}"),
        ({"ids": "5.."}, "5-0", LAST),
        ({"ids": "..7-2"}, FIRST, "7-2"),
        ({"ids": f"1..{MS}", "since": "1s"}, f"{MS - 1000}-0", f"{MS}-{MOST}"),
    ],
)
def test_ranges(given: dict[str, str], first: str, last: str) -> None:
    chosen = select(**given, now=NOW)  # type: ignore[arg-type]
    assert (chosen.first, chosen.last) == (first, last)


@pytest.mark.parametrize(
    "given",
    [
        {"since": "yesterday"},
        {"until": "5 apples"},
        {"ids": "5"},
        {"ids": "a..b"},
        {"ids": "7..5"},
        {"since": "1h", "until": "2h"},
        {"types": ("../x",)},
    ],
)
def test_what_makes_no_sense(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        select(**given, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", ["0-0", "0-1", "1-0", "5-0", "5-7"])
def test_before_is_just_before(first: str) -> None:
    """An exclusive start from there meets the first that is meant."""
    before = Selection(first=first).before
    assert order(before) < order(first) or first == FIRST


def test_covers_and_wants() -> None:
    chosen = Selection("5-0", "9-0", (), ("acme",))
    assert [chosen.covers(Ref("noop", "10", entry)) for entry in ("4-9", "5-0", "9-0", "9-1")] == [
        False,
        True,
        True,
        False,
    ]
    assert chosen.wants("acme")
    assert not chosen.wants(None)
    assert not chosen.wants("other")


def test_a_cursor_comes_back_as_it_was(tmp_path: Path) -> None:
    cursor = Cursor("archive", Selection("5-0", "9-0", ("noop",), ("acme",)), "redis://h", again=True)
    cursor.progress.cursors["noop.10"] = "7-0"
    cursor.progress.finished.add("noop.3")
    cursor.progress.tally["noop", "acme", "sent"] = 3
    path = tmp_path / "cursor.json"
    cursor.save(path)
    assert Cursor.load(path) == cursor
    assert [file.name for file in tmp_path.iterdir()] == ["cursor.json"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}', "{"])
def test_a_file_that_is_no_cursor(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cursor.json"
    with pytest.raises(InvalidInput, match="nothing can be resumed"):
        Cursor.load(path)
    path.write_text(content)
    with pytest.raises(InvalidInput, match="holds no saved replay"):
        Cursor.load(path)
