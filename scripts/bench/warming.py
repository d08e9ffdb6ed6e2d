"""Warming: what hit rate a cache has after it was lost, on a trace of real requests.

The first half of the trace is read through the cache (`get_or_load`, every miss is loaded and kept); workers
count what was read. Then the server is flushed, as often as there are ways to go on: cold; with popularity
restored from a checkpoint, and warmed by it; warmed from an access log of the first half. Beside them
the limit: everything that was ever read is there. The second half tells the hit rates.

With --popularity-cost it tells instead what counting which keys are read costs a get of 1 KiB, beside a
client that does not count.
"""

import argparse
import asyncio
import lzma
import sys
import tempfile
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.progress import track
from rich.table import Table

import riptide
from commands import COMMANDS, Warm
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.reads.aio_client import aconnect
from riptide.reads.context import make_context
from riptide.store.keys import Keys
from riptide.store.sync import open_store
from riptide.streams.overview import overview
from riptide.streams.registry import Registry
from riptide.streams.worker import Worker
from scripts.bench import harness
from workers import HANDLERS

SOON, VALUE, PATIENCE = 2000, b"x" * 200, 600
KINDS = ("warm", "record_access")
BASE = "https://www.example.org"


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one way to go on: what was loaded, within how many seconds, and the hit rates after that."""

    name: str
    loaded: int
    seconds: float
    soon: float
    all: float


def read_trace(path: Path, width: int) -> list[str]:
    """The requests as URLs, in order, of a file of big-endian keys of so many bytes, plain or xz."""
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    numbers = array({4: "I", 8: "Q"}[width])
    numbers.frombytes(data[: len(data) // width * width])
    if sys.byteorder == "little":
        numbers.byteswap()
    return [f"{BASE}/{number}" for number in numbers]


def settings(url: str, log: Path, blobs: Path) -> Settings:
    plain = harness.settings(url, "warming")
    cache = {"enable_warming": False, "warm_access_logs": (str(log),), "warm_base_url": BASE}
    return plain.model_copy(
        update={
            "cache": plain.cache.model_copy(update=cache),
            # Server and worker share a machine with the readers: what is slow here says nothing.
            "performance": plain.performance.model_copy(update={"enable_slow_log": False}),
            "blobs": plain.blobs.model_copy(update={"url": str(blobs)}),
        }
    )


def read_through(chosen: Settings, requests: Sequence[str], what: str) -> list[bool]:
    """Read them all; which were hits. What was read is reported at the end."""
    loads = 0

    def load() -> bytes:
        nonlocal loads
        loads += 1
        return VALUE

    hits = []
    with riptide.connect(config=chosen) as rt:
        for url in track(requests, what, console=harness.console, transient=True):
            before = loads
            rt.cache.get_or_load(url, load)
            hits.append(loads == before)
    return hits


async def work(chosen: Settings, command: Warm | None = None) -> dict[str, Any]:
    """Have a worker do all that waits; the result of `command`, if there is one."""
    keys = Keys(chosen.cache.key_prefix)
    types = Registry({kind: COMMANDS[kind] for kind in KINDS}, {kind: HANDLERS[kind] for kind in KINDS})
    rt, beats = await aconnect(config=chosen), open_store(chosen)
    async with make_context(rt) as context:
        context.loaders.register("origin", lambda _: VALUE)
        worker = Worker(chosen, types.pick(None), rt.store, beats, context, SystemClock())
        running = asyncio.create_task(worker.run())
        status = None if command is None else await rt.wait(await rt.publish(command), PATIENCE)
        while True:
            (state,) = await rt.store.drive(overview(keys, ["record_access"]))
            if state.lag == 0 and not state.pending:
                break
            await asyncio.sleep(0.01)
        worker.stop()
        await running
    beats.close()
    if status is not None and status.state != "done":
        sys.exit(f"the command ended as {status.state}: {status.error}")
    value: dict[str, Any] = {} if status is None else status.value
    return value


def go_on(
    chosen: Settings, rest: Sequence[str], name: str, checkpoint: str | None = None, **warm: Any
) -> Rates:
    """Lose everything, restore a checkpoint, warm, and read the rest."""
    harness.flush(chosen.redis.url.get_secret_value())
    if checkpoint is not None:
        with riptide.connect(config=chosen) as rt:
            rt.checkpoints.restore(checkpoint)
    result: dict[str, Any] = {"loaded": 0, "seconds": 0.0}
    if warm:
        result = asyncio.run(work(chosen, Warm(loader="origin", **warm)))
    return rates(name, read_through(chosen, rest, name), result)


def rates(name: str, hits: Sequence[bool], result: dict[str, Any]) -> Rates:
    soon = sum(hits[:SOON]) / min(SOON, len(hits))
    return Rates(name, result["loaded"], result["seconds"], soon, sum(hits) / len(hits))


def measure(url: str, requests: Sequence[str]) -> list[Rates]:
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "access.log")
        chosen = settings(url, log, Path(directory, "blobs"))
        half = len(requests) // 2
        first, rest = requests[:half], requests[half:]
        write_log(log, first)
        began = time.monotonic()
        read_through(chosen, first, "the first half")
        asyncio.run(work(chosen))
        with riptide.connect(config=chosen) as rt:
            made = rt.checkpoints.create().id
        harness.console.print(
            f"{len(requests):,} requests; first half: {len(set(first)):,} keys, read and written down in "
            f"{time.monotonic() - began:.0f} s"
        )
        limit = rates("limit: all that was ever read", read_through(chosen, rest, "limit"), _NOTHING)
        most = chosen.cache.popular_keys
        return [
            go_on(chosen, rest, "cold"),
            go_on(chosen, rest, "popular, top 1,000", made, source="popular", top=1000),
            go_on(chosen, rest, f"popular, top {most:,}", made, source="popular", top=most),
            go_on(chosen, rest, f"access log, top {most:,}", source="access_log", top=most),
            limit,
        ]


_NOTHING = {"loaded": 0, "seconds": 0.0}


def write_log(path: Path, requests: Sequence[str]) -> None:
    """As a web server would have written it."""
    stamp = "[21/Nov/2026:12:00:00 +0000]"
    with path.open("w", encoding="ascii") as file:
        for url in requests:
            target = url.removeprefix(BASE)
            file.write(f'192.0.2.1 - - {stamp} "GET {target} HTTP/1.1" 200 {len(VALUE)} "-" "bench"\n')


def cost(url: str, rounds: int) -> harness.Comparison:
    """A get that counts its key beside one that does not."""
    counting = harness.settings(url, "bench")
    cache = counting.cache.model_copy(update={"popular_keys": 0})
    names = [f"{BASE}/{number}" for number in range(1000)]
    comparison = harness.Comparison("get of 1 KiB that counts its key", "get", "us, p50", reach="<= 1.03")
    with (
        riptide.connect(config=counting) as ours,
        riptide.connect(config=counting.model_copy(update={"cache": cache})) as floor,
    ):
        ours.cache.set_many(dict.fromkeys(names, b"x" * 1024))

        def p50(rt: riptide.RipTide) -> float:
            turn = iter(names * 20)
            return harness.p50_us(lambda: rt.cache.get(next(turn)), 10_000)

        harness.interleave(rounds, comparison, lambda: p50(floor), lambda: p50(ours))
    return comparison


def report(found: Sequence[Rates]) -> None:
    table = Table()
    for column in ("", "loaded", "in s", f"hit rate, next {SOON:,}", "hit rate, second half"):
        table.add_column(column, justify="right" if column else "left")
    for row in found:
        loaded = (f"{row.loaded:,}", f"{row.seconds:.1f}") if row.loaded else ("", "")
        table.add_row(row.name, *loaded, f"{row.soon:.3f}", f"{row.all:.3f}")
    harness.console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path, nargs="?", help="a file of big-endian keys, plain or .xz")
    parser.add_argument("--width", type=int, choices=(4, 8), default=4, help="bytes of a key")
    parser.add_argument("--popularity-cost", action="store_true", help="what counting costs a get")
    parser.add_argument("--rounds", type=int, default=9, help="of --popularity-cost (default %(default)s)")
    chosen = parser.parse_args()
    if not chosen.popularity_cost and chosen.trace is None:
        parser.error("a trace is needed")
    with harness.server(same_cpu=False) as url:
        if chosen.popularity_cost:
            harness.report([cost(url, chosen.rounds)])
        else:
            report(measure(url, read_trace(chosen.trace, chosen.width)))


if __name__ == "__main__":
    main()
