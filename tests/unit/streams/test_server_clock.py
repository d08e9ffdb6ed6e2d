"""The server's clock between heartbeats: never ahead of it, and it is noticed when it was set."""

import time

import pytest

from riptide.streams.server_clock import ServerClock


def test_it_goes_on_from_what_it_was_told() -> None:
    clock = ServerClock()
    assert clock.now_ms() == 0
    before = time.monotonic()
    clock.heard(1_000_000, before)
    first = clock.now_ms()
    assert 1_000_000 <= first <= 1_000_000 + (time.monotonic() - before) * 1000
    assert clock.now_ms() >= first


@pytest.mark.parametrize(("ahead_ms", "jumped"), [(0, False), (-3_600_000, False), (3_600_000, True)])
def test_that_it_was_set_forward_is_told(ahead_ms: int, jumped: bool) -> None:
    clock = ServerClock()
    assert not clock.heard(1_000_000, 50.0), "there is nothing to compare it with"
    assert clock.heard(1_000_000 + 10_000 + ahead_ms, 60.0) is jumped
    assert not clock.heard(1_000_000 + 11_000 + ahead_ms, 61.0), "once"
