"""Servers that die, forget, fail over, move slots and fill up, while commands of all kinds are carried out.

Loss is accepted where a failover, or a flush, lost what the server had acknowledged; then it is counted and
printed.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import riptide
from riptide.store.keys import PARTITIONS
from tests.servers import Cluster, ServerProcess
from tests.servers.sentinel import Sentinel
from tests.support.crew import Hand, produce, work
from tests.support.recorded import Step
from tests.support.trial import Trial
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

#: What a deployment has that nobody has tuned.
DEFAULTS: dict[str, Any] = {
    "workers": {"lease_seconds": 2.5, "modules": ("tests.support.recorded",)},
    "distributed": {"heartbeat_interval_ms": 1000},
    "streams": {"block_ms": 1000},
    "redis": {"retry_delay_ms": 100},
}


@contextmanager
def producing(trial: Trial, count: int, seconds: float) -> Iterator[Hand]:
    """A process that publishes `count` commands over so many seconds, and then ends well."""
    batches = list(trial.batches(trial.some(count)))
    hand = trial.hand(produce, batches, seconds / len(batches))
    eventually(lambda: trial.count("effect"), "the first effect")
    yield hand
    hand.wait()
    assert hand.process.exitcode == 0, hand.log.read_text()[-2000:]


def seconds_to_first_starts(trial: Trial, workers: list[Hand]) -> float:
    """From now until each of `workers` has started something that is published from now on."""
    since = trial.now()
    waiting = {hand.pid for hand in workers}

    def all_started() -> bool:
        trial.publish([riptide.Outgoing(Step(token=f"after{trial.now()}", seconds=0.05)) for _ in range(30)])
        starts = [r for r in trial.records() if r["what"] == "start" and r["at"] > since]
        waiting.difference_update(record["pid"] for record in starts)
        return not waiting

    eventually(all_started, "all workers to start something")
    firsts: dict[int, int] = {}
    for record in trial.records():
        if record["what"] == "start" and record["at"] > since:
            firsts.setdefault(record["pid"], record["at"])
    seconds = (max(firsts[hand.pid] for hand in workers) - since) / 1e9
    print(f"workers went on {seconds:.2f} s after the server's return")  # noqa: T201 - a figure
    return seconds


def test_a_server_that_was_killed_comes_back(
    trial: Callable[..., Trial], private_server: Callable[..., ServerProcess]
) -> None:
    """Away for three seconds, so that everybody has backed off; with default settings."""
    server = private_server(aof=True)
    one = trial(server.url, **DEFAULTS)
    workers = [one.hand(work) for _ in range(2)]
    with producing(one, 300, seconds=4):
        server.kill()
        time.sleep(3)  # the outage itself
        server.start()
        assert seconds_to_first_starts(one, workers) < 30
    one.judge("killed and restarted")


def test_a_server_that_is_flushed(
    trial: Callable[..., Trial], private_server: Callable[..., ServerProcess]
) -> None:
    """What it held is gone, and is counted; what comes after is carried out."""
    server = private_server(aof=False)
    one = trial(server.url)
    for _ in range(2):
        one.hand(work)
    with producing(one, 600, seconds=3):
        for _ in range(3):
            time.sleep(0.5)
            one.client.flushall()
            one.forgot(since=0)
        one.publish(one.some(100))
    verdict = one.judge("flushed three times")
    assert verdict.counts["effects"] > 100


@pytest.mark.parametrize("joins", ["before", "after"])
def test_a_full_server_is_drained(
    joins: str, trial: Callable[..., Trial], private_server: Callable[..., ServerProcess]
) -> None:
    """Publishing is refused, and nothing that was accepted is lost: also by workers that join only then."""
    server = private_server(aof=False)
    one = trial(server.url)
    workers = [one.hand(work) for _ in range(2 if joins == "before" else 0)]
    one.wait_for_members(workers)
    for hand in workers:
        hand.signal(signal.SIGSTOP)
    one.client.config_set("maxmemory", one.client.info("memory")["used_memory"] + 600_000)
    while not one.count("refused"):
        one.publish(one.some(50), again=lambda: False)
    time.sleep(1)  # the stop itself: longer than a lease, so that they have to join anew
    for hand in workers:
        hand.signal(signal.SIGCONT)
    for _ in range(2 - len(workers)):
        one.hand(work)
    verdict = one.judge(f"full, joined {joins}")
    assert verdict.counts["accepted"] > 100


def test_a_cluster_that_moves_slots_and_loses_primaries(
    trial: Callable[..., Trial], private_cluster: Callable[..., Cluster]
) -> None:
    cluster = private_cluster(aof=False)
    cluster.bear_pauses(5)  # else what is lost may be lost at another time
    one = trial(cluster.url, cluster=True, redis={"retry_attempts": 10, "retry_delay_ms": 50})
    workers = [one.hand(work) for _ in range(2)]
    with producing(one, 1000, seconds=3):
        for partition in PARTITIONS[:4]:
            cluster.move_slot(partition)
    with producing(one, 1000, seconds=4):
        victim = cluster.owner(PARTITIONS[0])
        since = cluster.replicate(victim)
        victim.kill()
        cluster.wait_promoted(victim)
        one.forgot(since)
        seconds_to_first_starts(one, workers)
        victim.start()
        cluster.wait_ready()
    one.judge("a cluster")


def test_a_sentinel_that_fails_over(
    trial: Callable[..., Trial], binary: Callable[[str], Any], tmp_path: Any
) -> None:
    sentinel = Sentinel(binary("valkey"), tmp_path / "sentinel").start()
    try:
        one = trial(sentinel.url, redis={"retry_attempts": 10, "retry_delay_ms": 50})
        workers = [one.hand(work) for _ in range(2)]
        with producing(one, 1000, seconds=3):
            since = one.now()
            sentinel.fail_over()
            one.forgot(since)
            seconds_to_first_starts(one, workers)
        with producing(one, 500, seconds=2):
            dying = sentinel.primary
            since = sentinel.replicate()
            dying.kill()
            eventually(lambda: sentinel.primary is not dying, "another primary")
            one.forgot(since)
            seconds_to_first_starts(one, workers)
        one.client = sentinel.primary.client()
        one.judge("Sentinel")
    finally:
        sentinel.stop()
