"""A check of a quota: in one round trip, from a lease, and beside the limiters of other libraries.

Floor: redis-py's EVALSHA of a script that increments a counter and sets its expiry. The others keep their
window exactly, or about so, too; each runs in a virtual environment and a process of its own, made the first
time, and is asked in turn with RipTide.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from riptide.config import Settings
from scripts.bench import harness
from scripts.bench.harness import Comparison
from scripts.bench.peer.catalog import EACH, Peer
from scripts.bench.peer.environments import Unusable, programs_of
from scripts.bench.peer.running import ROOT

TENANT, RATE = "acme", "operations_per_minute"
_CHECKS, _LEASED, _AT_ONCE = 1_000, 20_000, 100
_FLOOR = """local n = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return n"""
_REDIS = ("redis==7.4.0", "hiredis==3.5.0")  # two of them want one below 8
PEERS = {
    "limits": "limits 5.8, moving window",
    "pyrate": "pyrate-limiter 4.5",
    "throttled": "throttled-py 3.5, sliding window",
}
PACKAGES = {
    "limits": ("limits==5.8.0", *_REDIS),
    "pyrate": ("pyrate-limiter==4.5.1", *_REDIS),
    "throttled": ("throttled-py==3.5.0", *_REDIS),
}


class Other:
    """A peer's process. `round` is the median of its checks, in microseconds. Raises Unusable."""

    def __init__(self, library: str, url: str) -> None:
        peer = Peer(library, f"on_{library}", PACKAGES[library], (), EACH)
        python = programs_of(peer, ROOT / ".riptide" / "bench-venvs") / "python"
        app = Path(__file__).parent / "peer" / "apps" / "limiter.py"
        self._process: Any = subprocess.Popen(
            [str(python), str(app), library, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def round(self) -> float:
        self._process.stdin.write(f"{_CHECKS}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Unusable("its process ended")
        return float(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def floor_of(url: str, stack: ExitStack) -> Callable[[], float]:
    client = stack.enter_context(redis.Redis.from_url(url))
    sha = client.script_load(_FLOOR)
    return lambda: harness.p50_us(lambda: client.evalsha(sha, 1, "floor", 1, 60), _CHECKS)


def several_p50_us(action: Callable[[], object], times: int) -> float:
    """The same for what takes about as long as looking at the clock does: many at once."""

    def many() -> None:
        for _ in range(_AT_ONCE):
            action()

    return harness.p50_us(many, times // _AT_ONCE) / _AT_ONCE


async def leased_p50_us(settings: Settings) -> float:
    async with await riptide.aconnect(config=settings) as rt:
        take = rt.quotas.lease(TENANT).take
        samples = []
        for _ in range(_LEASED // _AT_ONCE):
            started = perf_counter()
            for _ in range(_AT_ONCE):
                await take()
            samples.append((perf_counter() - started) / _AT_ONCE)
        return sorted(samples)[len(samples) // 2] * 1e6


def main() -> None:
    asked = harness.options(__doc__, rounds=7)
    with harness.server(same_cpu=asked.same_cpu) as url, ExitStack() as stack:
        settings = harness.settings(url, "bench", tenants=True)
        rt = stack.enter_context(riptide.connect(config=settings))
        rt.tenants.create(TENANT, quotas={RATE: 2**40})
        lease, floor = rt.quotas.lease(TENANT), floor_of(url, stack)
        compared = []

        def compare(
            name: str, beside: str, reach: str, other: Callable[[], float], ours: Callable[[], float]
        ) -> None:
            compared.append(Comparison(name, beside, "us p50", reach=reach))
            harness.interleave(asked.rounds, compared[-1], other, ours)

        def check() -> float:
            return harness.p50_us(lambda: rt.quotas.check(TENANT, {RATE: 1}), _CHECKS)

        compare("check of a rate", "EVALSHA", "<= 1.25", floor, check)
        compare(
            "check of two rates and a total",
            "EVALSHA",
            "-",
            floor,
            lambda: harness.p50_us(
                lambda: rt.quotas.check(
                    TENANT, {RATE: 1, "data_per_minute_bytes": 100, "data_transfer_bytes": 100}
                ),
                _CHECKS,
            ),
        )
        compare("from a lease", "EVALSHA", "<= 1 us", floor, lambda: several_p50_us(lease.take, _LEASED))
        compare(
            "from a lease, asynchronous",
            "EVALSHA",
            "<= 2 us",
            floor,
            lambda: asyncio.run(leased_p50_us(settings)),
        )
        for library, beside in PEERS.items():
            try:
                other = Other(library, url)
            except Unusable as problem:
                harness.console.print(f"{beside}: {problem}")
                continue
            stack.callback(other.close)
            compare("check of a rate", beside, "< 1", other.round, check)
        harness.report(compared)


if __name__ == "__main__":
    main()
