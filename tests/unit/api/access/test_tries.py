"""Failed tries: counted by client, in bounded memory, told once."""

import itertools

import pytest

from riptide.api.access.caller import Caller
from riptide.api.access.tries import MOST_CLIENTS, OTHERS, Remembered, Tries, client_name
from riptide.config import ApiSettings
from tests.support.clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock(1000.0)


SETTINGS = ApiSettings(failed_tries=3, failed_tries_seconds=10)


def test_who_failed_too_often_waits_until_the_window_is_over(clock: StillClock) -> None:
    tries = Tries(SETTINGS, clock)
    for _ in range(3):
        assert tries.wait_seconds("10.0.0.1") == 0
        tries.failed("10.0.0.1", "unknown")
    assert 1 <= tries.wait_seconds("10.0.0.1") <= 11
    assert tries.wait_seconds("10.0.0.2") == 0
    clock.seconds += tries.wait_seconds("10.0.0.1")
    assert tries.wait_seconds("10.0.0.1") == 0


def test_each_window_is_told_once_with_its_counts(clock: StillClock) -> None:
    tries = Tries(SETTINGS, clock)
    for client, why in (("a", "unknown"), ("a", "unknown"), ("a", "revoked"), ("b", "expired")):
        tries.failed(client, why)
    assert tries.take_reports() == []
    clock.seconds += 10
    told = {one.client: (one.tries, one.reasons) for one in tries.take_reports()}
    assert told == {"a": (3, {"unknown": 2, "revoked": 1}), "b": (1, {"expired": 1})}
    assert tries.take_reports() == []
    tries.failed("c", "unknown")
    assert [one.client for one in tries.take_reports(all_of_them=True)] == ["c"]


def test_however_many_clients_there_are(clock: StillClock) -> None:
    tries = Tries(SETTINGS, clock)
    for number in range(MOST_CLIENTS + 500):
        tries.failed(f"client {number}", "unknown")
    assert len(tries._counts) == MOST_CLIENTS + 1
    assert tries.wait_seconds("a new one") == 0, "whoever has many addresses locks nobody else out"
    clock.seconds += 10
    reports = tries.take_reports()
    assert len(reports) == 21
    assert sum(one.tries for one in reports) == MOST_CLIENTS + 500
    assert (reports[-1].client, reports[-1].clients) == (OTHERS, MOST_CLIENTS + 1 - 20)
    for _ in range(20):  # while the audit trail cannot be reached
        for number in range(50):
            tries.failed(f"client {number}", "unknown")
        clock.seconds += 10
    assert len(tries.take_reports()) <= 80


def test_callers_are_remembered_for_a_while(clock: StillClock) -> None:
    known, caller = Remembered(SETTINGS, clock), Caller("1", "a", "viewer")
    known.add("d", caller)
    clock.seconds += SETTINGS.remember_seconds
    assert known.get("d") == caller
    clock.seconds += 1
    assert known.get("d") is None
    known.add("d", caller)
    known.forget("d")
    assert known.get("d") is None
    for number in itertools.count():
        known.add(str(number), caller)
        if number == 10_000:
            break
    assert known.get("0") is None
    assert known.get("1") == caller


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("x\ny", "unknown"),
    ],
)
def test_what_a_client_is_counted_by(address: str | None, name: str) -> None:
    assert client_name(address) == name
