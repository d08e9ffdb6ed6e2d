"""Which segments of a stream may go."""

import pytest

from riptide.state.archive.names import Segment
from riptide.state.archive.retention import expired


def segment(first: int, last: int) -> Segment:
    return Segment(f"{first}_{last}", 1, "noop", "10", f"{first}-0", f"{last}-5")


@pytest.mark.parametrize(
    ("position", "before_ms", "gone"),
    [
        ("100-0", 100, 3),  # all are old; the last one stays
        ("100-0", 26, 2),
        ("100-0", 25, 1),  # its newest entry is as old as may be, and no older
        ("25-5", 100, 2),
        ("25-4", 100, 1),  # the server does not know that it holds all of the second
        ("0-0", 100, 0),
    ],
)
def test_the_old_ones_that_the_server_knows_of(position: str, before_ms: int, gone: int) -> None:
    found = [segment(1, 10), segment(11, 25), segment(26, 30), segment(31, 40)]
    assert list(expired(found, position, before_ms)) == found[:gone]


def test_no_segments() -> None:
    assert list(expired([], "100-0", 100)) == []
