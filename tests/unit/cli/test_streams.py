"""The table of `riptide streams`."""

import pytest
from rich.console import Console

from riptide.cli.streams import Look, _count, _shown
from riptide.state.archive.status import TypeArchive
from riptide.streams.overview import StreamState


def lines(look: Look) -> list[str]:
    console = Console(width=80)
    with console.capture() as shown:
        console.print(_shown(look))
    return [line.rstrip() for line in shown.get().splitlines()]


def test_whatever_stands_in_it_fits_into_80_columns() -> None:
    most = 12_345
    state = StreamState("record_access", most, most, most, most, most, most, 3599.0, most)
    archive = TypeArchive("record_access", most, most, 3599.0, 0, (), {})
    [title, head, row] = lines(Look([state], {"record_access": archive}, {"record_access": float(most)}, {}))
    assert title == "Streams"
    assert head.split()[-1] == "archive"
    assert row == "record_access 12.3k   12.3k 60.0 min 12.3k   12.3k   12.3k 12.3k   12.3k   12.3k"
    assert len(row) <= 80


def test_the_archive_has_a_column_where_something_is_archived() -> None:
    states = [
        StreamState("noop", 1, 2, 3, 4, 5, 6, None, 7),
        StreamState("warm", 0, None, 0, 0, 0, 0, None, None),
    ]
    assert "archive" not in " ".join(lines(Look(states, {}, {}, {})))
    [_, _, archived, not_archived] = lines(
        Look(states, {"noop": TypeArchive("noop", 0, None, None, 0, (), {})}, {"noop": 0.0}, {})
    )
    assert archived.split() == ["noop", "2", "3", "-", "0", "4", "5", "6", "1", "?"]
    assert not_archived.split() == ["warm", "?", "0", "-", "-", "0", "0", "0", "0", "-"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "?"),
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10k"),
        (12_345, "12.3k"),
        (999_500, "1M"),
        (10**9, "1G"),
    ],
)
def test_numbers_are_short(number: int | None, text: str) -> None:
    assert _count(number) == text
