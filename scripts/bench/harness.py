"""What the benchmarks share: one server, pinned CPUs, interleaved rounds, medians and ratios.

Machines are noisy: a bare time says little. Each benchmark runs its floor (plain redis-py on the same server)
and RipTide in turn, A B A B, and prints the ratio of their medians beside the spread of the ratios of single
rounds.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from riptide.config import RedisUrl, Settings
from riptide.store.embedded import EmbeddedServer

console = Console(width=None if Console().is_terminal else 150)
SERVER_CPU, CLIENT_CPU = 0, 1


def options(description: str | None, rounds: int) -> argparse.Namespace:
    """Arguments that all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="interleaved rounds (default %(default)s)")
    parser.add_argument(
        "--same-cpu", action="store_true", help="server and client on one CPU: the client's own cost"
    )
    return parser.parse_args()


@contextmanager
def server(*, same_cpu: bool) -> Iterator[str]:
    """The embedded Valkey with AOF on, on a CPU of its own where there are two; its URL.

    It does not rewrite its AOF, which would take that CPU for a while, in one of two runs.
    """
    cpus = sorted(os.sched_getaffinity(0))
    server_cpu = cpus[SERVER_CPU]
    client_cpu = server_cpu if same_cpu or len(cpus) == 1 else cpus[CLIENT_CPU]
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedServer(Path(directory), port=free_port()) as running,
    ):
        with redis.Redis.from_url(running.url) as client:
            client.config_set("auto-aof-rewrite-percentage", 0)
        os.sched_setaffinity(running.pid or 0, {server_cpu})
        os.sched_setaffinity(0, {client_cpu})
        console.print(f"embedded Valkey, AOF on; server on CPU {server_cpu}, client on CPU {client_cpu}")
        try:
            yield running.url
        finally:
            os.sched_setaffinity(0, cpus)


def settings(url: str, prefix: str, *, tenants: bool = False) -> Settings:
    """The defaults, on that server; with several `tenants`, or the default one alone."""
    plain = Settings()
    return plain.model_copy(
        update={
            "redis": plain.redis.model_copy(update={"url": RedisUrl(url)}),
            "cache": plain.cache.model_copy(update={"key_prefix": prefix}),
            "tenant": plain.tenant.model_copy(update={"enabled": tenants}),
        }
    )


def client_cpu() -> int:
    """The CPU that the benchmark's own process is pinned to, while a server runs."""
    return min(os.sched_getaffinity(0))


def server_pid(url: str) -> int:
    """The server's process."""
    with redis.Redis.from_url(url) as client:
        facts: Any = client.info("server")
        return int(facts["process_id"])


def flush(url: str) -> None:
    """Empty the server, which is the benchmark's own."""
    with redis.Redis.from_url(url) as client:
        client.flushall()


def connection(url: str) -> Any:
    """A bare connection, for what is packed once and sent often."""
    made = redis.ConnectionPool.from_url(url).make_connection()
    made.connect()
    return made


class Comparison:
    """Pairs of measurements of one thing: its floor and RipTide, in the same unit."""

    def __init__(self, name: str, floor: str, unit: str, *, reach: str) -> None:
        self.name, self.floor, self.unit, self.reach = name, floor, unit, reach
        self.pairs: list[tuple[float, float]] = []

    def row(self) -> list[str]:
        floors, ours = zip(*self.pairs, strict=True)
        ratios = sorted(our / floor for floor, our in self.pairs)
        ratio = statistics.median(ours) / statistics.median(floors)
        return [
            self.name,
            self.floor,
            f"{statistics.median(floors):,.1f}",
            f"{statistics.median(ours):,.1f}",
            self.unit,
            f"{ratio:.2f}",
            f"{ratios[0]:.2f} - {ratios[-1]:.2f}",
            self.reach,
        ]


def interleave(
    rounds: int, comparison: Comparison, floor: Callable[[], float], ours: Callable[[], float]
) -> None:
    """Run both in turn, `rounds` times, after one round that does not count."""
    floor(), ours()
    comparison.pairs += [(floor(), ours()) for _ in range(rounds)]


def report(comparisons: Sequence[Comparison]) -> None:
    table = Table(title_justify="left")
    for column in (
        "what",
        "floor",
        "floor median",
        "RipTide median",
        "unit",
        "ratio",
        "ratios of rounds",
        "reach",
    ):
        table.add_column(column)
    for comparison in comparisons:
        table.add_row(*comparison.row())
    console.print(table)


def p50_us(action: Callable[[], object], times: int) -> float:
    """Median time of one call, in microseconds."""
    from time import perf_counter

    samples = []
    for _ in range(times):
        started = perf_counter()
        action()
        samples.append(perf_counter() - started)
    return statistics.median(samples) * 1e6


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
