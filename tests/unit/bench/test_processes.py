"""The benchmark of two processes: what it makes of its figures."""

import os
import time

import pytest

from scripts.bench.load import cpu_seconds, resident_kib
from scripts.bench.processes import Drain, verdict, worker_cpus


@pytest.mark.parametrize(
    ("cpus", "workers"), [([0, 1], (1, 0)), ([0, 1, 2, 3], (1, 2)), ([4], (4, 4)), ([2, 3], (3, 2))]
)
def test_workers_leave_the_servers_cpu_alone_where_they_can(
    cpus: list[int], workers: tuple[int, int]
) -> None:
    assert worker_cpus(cpus) == workers


@pytest.mark.parametrize(
    ("cpus", "rate", "server", "limit", "outcome"),
    [
        (4, 1600, 0.1, 2.0, "reached"),
        (4, 1500, 0.25, 2.0, "NOT REACHED"),
        (4, 1300, 0.8, 1.25, "the server is the limit"),
        (2, 1500, 0.1, 2 / 1.1, "NOT REACHED"),
        (2, 1500, 0.6, 1.25, "the CPUs are full"),
    ],
)
def test_only_cpus_without_room_excuse(
    cpus: int, rate: float, server: float, limit: float, outcome: str
) -> None:
    assert verdict([Drain(1000, server)], [Drain(rate, 1)], cpus) == (rate / 1000, limit, outcome)


def test_cpu_time_and_memory_are_those_of_the_process() -> None:
    before = cpu_seconds(os.getpid())
    while time.process_time() < before + 0.05:
        pass
    assert cpu_seconds(os.getpid()) - before > 0
    assert resident_kib(os.getpid()) > 1024
