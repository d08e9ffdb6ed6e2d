"""Steady work that leaves nothing behind: keys, consumers, connections and memory stay flat.

`--soak-minutes 60` makes it long.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.store.keys import GROUP, PARTITIONS
from tests.servers import Server, ServerProcess
from tests.support.crew import KINDS, Hand, work
from tests.support.leaks import lasting, leaked, wait_for_no_leaks
from tests.support.recorded import Step
from tests.support.trial import TENANTS, Trial

pytestmark = [pytest.mark.faults, pytest.mark.slow]

ROUND = 200


@dataclass(frozen=True)
class Sample:
    keys: int  # without a lifetime
    consumers: int
    connections: int
    worker_bytes: int  # resident, of the largest worker
    server_bytes: int  # beside the streams


def test_a_soak_leaves_nothing_behind(
    trial: Callable[..., Trial], private_server: Callable[..., ServerProcess], pytestconfig: pytest.Config
) -> None:
    """Two workers; now and then one ends in order or is killed, and another takes its place."""
    server = private_server(aof=False)
    one = trial(server.url)
    workers = [one.hand(work) for _ in range(2)]
    # The first dead letter of a partition makes a key that stays: all have theirs from the beginning.
    one.publish([riptide.Outgoing(Step(token=f"of {name}", plan=("dead",)), name) for name in TENANTS])
    until = time.monotonic() + 60 * pytestconfig.getoption("--soak-minutes")
    samples: list[Sample] = []
    rounds = 0
    while time.monotonic() < until or len(samples) < 6:
        one.publish(one.some(ROUND))
        assert not one.rest()
        rounds += 1
        if rounds % 5 == 0:
            leaving = workers.pop(0)
            (leaving.end if rounds % 10 else leaving.kill)()
            workers.append(one.hand(work))
        one.wait_for_members(workers)
        samples.append(_sample(one, workers))
    verdict = one.judge(f"a soak of {rounds} rounds")
    settled = samples[len(samples) // 3 :]
    print(f"first {settled[0]}\nlast  {settled[-1]}")  # noqa: T201 - figures
    wait_for_no_leaks(one.client, one.place.prefix, kinds=len(KINDS), members=len(workers))
    for name in ("keys", "consumers"):
        values = [getattr(sample, name) for sample in settled]
        assert values[-1] <= max(values[: len(values) // 2]) + 2, f"{name} grow: {values}"
    # Of each worker: its pool, the reading one and its helper, the heartbeat's; and this test's own.
    pool = one.place.settings().redis.pool_size
    assert max(sample.connections for sample in settled) <= len(workers) * (pool + 3) + 2
    assert settled[-1].worker_bytes < 1.1 * max(settled[0].worker_bytes, 60_000_000)
    per_command = (settled[-1].server_bytes - settled[0].server_bytes) / (ROUND * (len(settled) - 1))
    print(f"server: {per_command:.0f} bytes beside the streams for each command")  # noqa: T201 - a figure
    assert verdict.counts["lost by the server"] == 0


def _sample(one: Trial, workers: list[Hand]) -> Sample:
    streams = [one.keys.commands(kind, p) for kind in KINDS for p in PARTITIONS]
    there = [key for key in streams if one.client.exists(key)]
    size = sum(one.client.memory_usage(key, samples=0) or 0 for key in there)
    return Sample(
        keys=sum(1 for _ in lasting(one.client, one.place.prefix)),
        consumers=max((len(one.client.xinfo_consumers(key, GROUP)) for key in there), default=0),
        connections=len(one.client.client_list()),
        worker_bytes=max(_resident(hand.pid) for hand in workers),
        server_bytes=int(one.client.info("memory")["used_memory"]) - size,
    )


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def test_a_leak_is_found(valkey: Server, trial: Callable[..., Trial]) -> None:
    one = trial(valkey.url)
    prefix, client = one.place.prefix, one.client

    def found(**numbers: Any) -> Counter[str]:
        return Counter(
            line.split(" has ")[0] for line in leaked(client, prefix, kinds=2, members=1, **numbers)
        )

    client.set(one.keys.commands("step", "10"), "as good as a stream")
    client.set(f"{prefix}:passing", "x", ex=100)
    assert not found()
    client.set(f"{prefix}:forgotten", "x")
    assert list(found()) == [f"{prefix}:forgotten"]
    client.delete(f"{prefix}:forgotten")
    for n in range(17):
        client.set(one.keys.fence("10", f"dead.{n}"), "1")
    assert any("17 keys" in line for line in found())
