"""What members say of themselves is shown, whatever it is."""

import json

import pytest

from riptide.cli.workers import _position
from riptide.streams.members import introduce, member_of


@pytest.mark.parametrize(
    ("position", "shown"),
    [
        ({}, "-"),
        ({"warm": "warm.10.1763700000000-3", "spill": "spill.43.1763600000000-0"}, "2025-11-21 04:40:00"),
        ({"warm": "warm.10.18446744073709551615-0"}, "1970-01-01 00:00:00"),
        ({"warm": "no reference"}, "1970-01-01 00:00:00"),
    ],
)
def test_a_position_is_shown_as_a_time(position: dict[str, str], shown: str) -> None:
    about = introduce("worker", {}, 0, position=position).encode()
    member = member_of(0, {}, b"a.1.x", b"0", b"0", about)
    assert member.position == position
    assert _position(member) == shown


@pytest.mark.parametrize("position", [None, 3, ["warm"], "warm"])
def test_nonsense_is_no_position(position: object) -> None:
    about = json.dumps({"position": position}).encode()
    assert _position(member_of(0, {}, b"a.1.x", b"0", b"0", about)) == "-"
