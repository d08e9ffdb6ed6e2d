"""A lease holds from heartbeats after which nobody can have taken its consumer over, and from no others."""

import time

from riptide.streams.lease import Lease

HOUR = 3600.0


def test_it_holds_only_when_the_fences_have_been_seen() -> None:
    lease, now = Lease(HOUR), time.monotonic()
    assert not lease.holds()
    lease.heard(now, steady=True)
    assert not lease.certain
    assert not lease.holds()
    lease.checked(now)
    assert lease.certain
    assert lease.holds()


def test_it_ends_with_its_time() -> None:
    lease, now = Lease(HOUR), time.monotonic()
    lease.checked(now - HOUR - 1)
    assert not lease.holds()
    lease.heard(now - HOUR + 60, steady=True)
    assert lease.holds()


def test_a_gap_between_heartbeats_is_a_doubt() -> None:
    lease, now = Lease(HOUR), time.monotonic()
    lease.checked(now - HOUR + 60)
    lease.heard(now - 20, steady=False)
    lease.heard(now - 10, steady=True)
    assert not lease.certain, "one steady heartbeat says nothing of the gap before it"
    lease.checked(now - 30)
    assert not lease.certain, "the fences were seen before the gap"
    lease.checked(now - 20)
    assert lease.certain
    lease.heard(now - 5, steady=True)
    assert lease.certain


def test_an_older_word_takes_nothing_back() -> None:
    lease, now = Lease(HOUR), time.monotonic()
    lease.checked(now)
    lease.checked(now - 2 * HOUR)
    assert lease.holds()
