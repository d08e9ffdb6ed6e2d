"""Leases: spent locally for a second, shared by threads, never by a forked child."""

import os
import threading
from collections.abc import Callable

import pytest

from riptide.errors import InvalidInput, UnknownTenant
from riptide.reads.sync_quotas import Lease
from riptide.tenants.quotas.purse import LIFE_SECONDS
from tests.integration.quotas.conftest import Open, Side
from tests.support.deployment import Deployment
from tests.support.waiting import eventually

OPS = "operations_per_minute"


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return int(self.seconds * 1000)


def lease_of(side: Side, clock: Hands, tenant: str = "acme") -> Lease:
    return Lease(side.store, side.parts.quotas, tenant, OPS, clock)


def asked(deployment: Deployment) -> int:
    """How much the server counts as taken."""
    return int(deployment.client.hget(deployment.keys.quota("acme", OPS), "sum") or 0)


def test_no_more_than_the_limit_is_given_and_all_of_it(side: Side) -> None:
    side.tenants.create("acme", quotas={OPS: 100})
    lease, clock = lease_of(side, Hands()), Hands()
    other = lease_of(side, clock)
    given = [0, 0]
    for turn in range(400):
        given[turn % 2] += bool((lease, other)[turn % 2].take())
    assert sum(given) == 100
    assert min(given) > 30  # neither starved the other


def test_it_asks_seldom(on_one: Side, on_valkey: Deployment) -> None:
    on_one.tenants.create("acme", quotas={OPS: 10_000})
    lease, seen = lease_of(on_one, Hands()), set()
    for number in range(1, 1001):
        assert lease.take()
        seen.add(asked(on_valkey))
        assert number <= asked(on_valkey) <= number * 8
    assert len(seen) < 10


def test_what_is_left_is_lost_with_its_second(on_one: Side, on_valkey: Deployment) -> None:
    on_one.tenants.create("acme", quotas={OPS: 1000})
    clock = Hands()
    lease = lease_of(on_one, clock)
    for _ in range(20):
        assert lease.take()
    before = asked(on_valkey)
    clock.seconds += LIFE_SECONDS
    assert lease.take()
    after = asked(on_valkey)
    assert after > before
    clock.seconds += 10 * LIFE_SECONDS  # one in ten seconds: there is no need for more
    assert lease.take()
    assert asked(on_valkey) == after + 1


def test_a_suspension_holds_within_a_second(on_one: Side) -> None:
    on_one.tenants.create("acme", quotas={OPS: 1000})
    clock = Hands()
    lease = lease_of(on_one, clock)
    while asked_and_left(lease) < 2:
        assert lease.take()
    on_one.tenants.suspend("acme", "unpaid")
    assert lease.take()  # what it holds may be spent
    clock.seconds += LIFE_SECONDS
    decision = lease.take()
    assert (decision.allowed, decision.status, decision.why) == (False, "suspended", "unpaid")
    on_one.tenants.resume("acme")
    assert not lease.take()
    clock.seconds += LIFE_SECONDS
    assert lease.take()


def asked_and_left(lease: Lease) -> int:
    return lease._purse._left


def test_a_refusal_is_repeated_for_a_while_without_asking(on_one: Side, on_valkey: Deployment) -> None:
    on_one.tenants.create("acme", quotas={OPS: 10})
    clock = Hands()
    lease = lease_of(on_one, clock)
    assert lease.take(8)
    refused = lease.take(4)
    assert refused.violated == (OPS,)
    assert lease.take(5) is refused
    assert lease.take(2)  # so much is left
    on_one.tenants.update("acme", quotas={OPS: 100})
    clock.seconds += LIFE_SECONDS
    assert lease.take(20)


def test_only_rates_are_leased(on_one: Side) -> None:
    for resource in ("memory_bytes", "data_transfer_bytes", "nothing", None):
        with pytest.raises(InvalidInput, match="only rates are leased"):
            on_one.quotas.lease("default", resource)  # type: ignore[arg-type]
    with pytest.raises(UnknownTenant):
        on_one.quotas.lease("nobody").take()
    bytes_a_minute = on_one.quotas.lease("default", "data_per_minute_bytes")
    with pytest.raises(InvalidInput):
        bytes_a_minute.take(0)


def test_threads_share_one(on_one: Side) -> None:
    on_one.tenants.create("acme", quotas={OPS: 2000})
    lease, given = on_one.quotas.lease("acme"), []

    def spend() -> None:
        given.append(sum(bool(lease.take()) for _ in range(1000)))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(given) <= 2000
    assert sum(given) > 0


def test_a_forked_child_has_none_of_its_parents(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey)
    side.tenants.create("acme", quotas={OPS: 1000})
    lease = lease_of(side, Hands())
    while asked_and_left(lease) < 10:
        assert lease.take()
    left = in_child(lambda: asked_and_left(lease))
    assert left == 0
    with lease._purse.lock:  # held by another thread, say
        assert in_child(lambda: int(lease._purse.lock.acquire(blocking=False))) == 1


def in_child(look: Callable[[], int]) -> int:
    """What a forked child sees."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, bytes([look()]))
        os._exit(0)
    eventually(lambda: os.waitpid(child, os.WNOHANG)[0] == child, "the child's end")
    os.close(write)
    seen = os.read(read, 1)[0]
    os.close(read)
    return seen
