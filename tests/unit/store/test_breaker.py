"""The circuit breaker as a state machine, and what a transport makes of it."""

import threading
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from structlog.testing import capture_logs

from riptide.errors import ServerUnavailable
from riptide.store.breaker import Breaker, Guard, breaker_of
from riptide.store.doubt import NotTried
from riptide.store.operation import Operation
from riptide.store.pool import Again, Connections
from riptide.store.sync import PoolTransport, Store
from tests.unit.store.test_doubt import QUIET, Script

GONE = redis.ConnectionError("gone")
OUTAGES: dict[str, Exception] = {
    "lost": GONE,
    "late": redis.TimeoutError("late"),
    "down": redis.exceptions.ClusterDownError("the cluster is down"),
}
ANSWERS: dict[str, Exception | None] = {"value": None, "refused": redis.ResponseError("no")}
NEITHER: dict[str, Exception] = {
    "login": redis.AuthenticationError("who?"),
    "busy": NotTried("busy"),
    "ours": ValueError("ours"),
}
CALLS: dict[str, Exception | None] = {**OUTAGES, **ANSWERS, **NEITHER}


def call(breaker: Breaker, error: Exception | None) -> bool:
    """Whether it was let through."""
    try:
        with breaker:
            if error is not None:
                raise error
    except (redis.RedisError, ValueError) as raised:
        return raised is error
    return True


@given(st.integers(0, 4), st.lists(st.sampled_from([*CALLS, "probe"]), max_size=40))
def test_it_opens_after_failures_in_a_row_and_closes_when_answered(most: int, events: list[str]) -> None:
    started: list[int] = []
    breaker = Breaker(most, lambda opened: started.append(opened.opening))
    row, opened, is_open = 0, 0, False
    for event in events:
        if event == "probe":
            if is_open:
                breaker.answered()
            row, is_open = (0, False) if is_open else (row, False)
            continue
        assert call(breaker, CALLS[event]) is not is_open
        if not is_open and event in OUTAGES:
            row += 1
            is_open = row == most
            opened += is_open
        elif not is_open and event in ANSWERS:
            row = 0
        assert (breaker.opening > 0) is is_open
    assert started == list(range(1, opened + 1)), "one start of probes for each opening"
    assert most or not opened


def test_what_was_on_its_way_may_close_it_and_cannot_open_it_twice() -> None:
    started: list[Breaker] = []
    breaker = Breaker(1, started.append)
    with capture_logs() as lines:
        with breaker:
            assert call(breaker, GONE)
            with pytest.raises(NotTried, match=r"nothing is sent to it \(gone\)"):
                breaker.refuse()
        assert not breaker.opening
        with breaker:
            assert call(breaker, GONE)
            breaker.failed(GONE)
            assert call(breaker, GONE) is False
    assert len(started) == 2
    assert [line["event"].partition(":")[0] for line in lines] == [
        "the server does not answer",
        "the server answers again",
        "the server does not answer",
        "the server answers again",
    ]


def test_threads_open_it_once() -> None:
    started: list[Breaker] = []
    breaker, ready = Breaker(8, started.append), threading.Barrier(8)

    def fail() -> None:
        ready.wait()
        call(breaker, GONE)

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1


# In a transport

LATE, AWAY, CUT = ("read", redis.TimeoutError("late")), ("connect", GONE), ("read", GONE)
GET: Operation[Any] = Operation(("GET", "key"), lambda reply: reply)


def store_of(*tries: tuple[str, Any], most: int, attempts: int) -> tuple[Store, list[Script]]:
    """Its probes are kept from running."""
    made: list[Script] = []
    guard = Guard(most)

    def make() -> Script:
        made.append(Script(*tries))
        return made[-1]

    transport = PoolTransport(Connections(make, 1, 1), Again(attempts, NoBackoff()), guard)
    guard.start = lambda _: None
    return Store(transport, 100, QUIET, guard), made


def failed(store: Store) -> ServerUnavailable:
    with pytest.raises(ServerUnavailable) as caught:
        store.run(GET)
    return caught.value


def test_a_call_counts_once_with_all_its_tries() -> None:
    store, _ = store_of(CUT, most=2, attempts=5)
    assert failed(store).maybe_done
    assert not store.guard.outages()
    assert failed(store).maybe_done
    assert store.guard.outages()
    refused = failed(store)
    assert not refused.maybe_done, "nothing was sent"
    assert "nothing is sent to it" in str(refused)


def test_tries_that_come_through_are_no_failures() -> None:
    store, _ = store_of(AWAY, CUT, ("read", b"value"), most=1, attempts=2)
    assert store.run(GET) == b"value"
    assert not store.guard.outages()


def test_a_try_that_timed_out_counts_at_once_and_no_further_one_follows() -> None:
    store, made = store_of(LATE, LATE, ("read", b"value"), most=2, attempts=5)
    failed(store)
    assert store.guard.outages()
    assert len(made) == 1


# On a cluster


class Client:
    """Knows two nodes, by the first letter of a key."""

    def __init__(self) -> None:
        self.nodes_manager = self
        self.slots_cache = {n: [type("Node", (), {"name": f"node{n}"})] for n in range(2)}

    def keyslot(self, key: str) -> int:
        return "ab".find(key[0])


def test_a_dead_node_stops_nobody_from_asking_the_others() -> None:
    guard, client = Guard(1), Client()
    for _ in range(3):
        with pytest.raises(redis.ConnectionError), breaker_of([("GET", "a")], client, guard):
            raise GONE
        with breaker_of([("EVALSHA", "sha", 1, "b", "a")], client, guard):
            pass
    assert [outage.node for outage in guard.outages()] == ["node0"]
    with pytest.raises(NotTried), breaker_of([("GET", "a"), ("GET", "b")], client, guard):
        pass
    with pytest.raises(redis.ConnectionError), breaker_of([("GET", "b"), ("GET", "c")], client, guard):
        raise GONE  # of whom is not known
    assert [outage.node for outage in guard.outages()] == ["node0"]
    with breaker_of([("GET", "b")], None, guard):
        pass
