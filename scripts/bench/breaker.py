"""What a request pays for a server that is gone, while the circuit breaker is open: a read of the cache and
a check of a quota, as a request makes them.

Two ways to be gone: nobody listens on its port, or connections are accepted and nothing ever answers. The
latter would cost each request its timeout, and does so until the breaker has opened.
"""

import argparse
import asyncio
import socket
import statistics
import sys
from contextlib import closing
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import structlog
from rich.table import Table

import riptide
from riptide.config import Settings
from scripts.bench import harness

_RATE = {"operations_per_minute": 1}
_PACE_SECONDS = 0.0005
_REACH_MS = 1.0


def settings(port: int) -> Settings:
    """The defaults, but for how long it takes until the breaker opens."""
    plain = harness.settings(f"redis://127.0.0.1:{port}", "bench")
    quick = {"command_timeout_ms": 200, "connection_timeout_ms": 200}
    return plain.model_copy(update={"redis": plain.redis.model_copy(update=quick)})


def sync_requests(chosen: Settings, requests: int) -> list[float]:
    with riptide.connect(config=chosen) as rt:
        while not rt.store.guard.outages():
            rt.cache.get("page")
        samples = []
        for _ in range(requests):
            started = perf_counter()
            rt.cache.get("page")
            rt.quotas.check("default", _RATE)
            samples.append(perf_counter() - started)
            # The machine is not to be full: a request that waits for a CPU says nothing of the breaker.
            sleep(_PACE_SECONDS)
        return samples


async def async_requests(chosen: Settings, requests: int) -> list[float]:
    async with await riptide.aconnect(config=chosen) as rt:
        while not rt.store.guard.outages():
            await rt.cache.get("page")
        samples = []
        for _ in range(requests):
            started = perf_counter()
            await rt.cache.get("page")
            await rt.quotas.check("default", _RATE)
            samples.append(perf_counter() - started)
            await asyncio.sleep(_PACE_SECONDS)
        return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--requests", type=int, default=4000, help="requests of each kind (default %(default)s)"
    )
    requests = parser.parse_args().requests
    structlog.configure(processors=[_drop])
    table = Table(title="dead server, breaker open: what it adds to a request", title_justify="left")
    for column in ("face", "server", "p50 us", "p99 us", "p99.9 us", "reach, p99", ""):
        table.add_column(column)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent, closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        for face, run in (("synchronous", sync_requests), ("asynchronous", _run)):
            for server, port in (("refuses", closed.getsockname()[1]), ("swallows", silent.getsockname()[1])):
                cuts = statistics.quantiles(run(settings(port), requests), n=1000)
                p50, p99, p999 = (cuts[at - 1] * 1e6 for at in (500, 990, 999))
                verdict = "ok" if p99 < _REACH_MS * 1000 else "MISSED"
                table.add_row(face, server, f"{p50:.0f}", f"{p99:.0f}", f"{p999:.0f}", "< 1 ms", verdict)
    harness.console.print(table)


def _run(chosen: Settings, requests: int) -> list[float]:
    return asyncio.run(async_requests(chosen, requests))


def _drop(_logger: Any, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
