"""Archive: how fast one worker process drains no-op commands while it archives every one of them.

Floor: the same without the archive. Three figures: until all commands are done (the archive working
meanwhile); until all are done and in durable segments, too; and that by the worker's CPU time, in which other
programs on the machine do not count. The archive's local directory lies on a disk.
"""

import asyncio
import itertools
import shutil
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from riptide.cli.worker import archiving, calm_collector
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.state.archive.operations import PartitionArchive
from riptide.store.aio import AsyncStore, open_async_store
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.sync import open_store
from riptide.streams.overview import overview
from riptide.streams.publishing import Outgoing, Publisher
from riptide.streams.registry import Registry
from riptide.streams.worker import Worker
from scripts.bench import harness
from scripts.bench.noop import Counter, Noop, handler

COMMANDS, TENANTS = 100_000, 50
_runs = itertools.count()


def publish(settings: Settings) -> None:
    store = open_store(settings)
    keys = Keys(settings.cache.key_prefix)
    publisher = Publisher(keys, settings.streams, {"noop": Noop}, SystemClock())
    for start in range(0, COMMANDS, 1000):
        batch = [Outgoing(Noop(n=n), f"tenant-{n % TENANTS}") for n in range(start, start + 1000)]
        store.drive(publisher.publish_many(batch))
    store.close()


def run(url: str, directory: str, *, archive: bool) -> tuple[float, float, float]:
    """Commands a second until all are done, until they are archived, too, and that by CPU seconds."""
    plain = harness.settings(url, f"run{next(_runs)}")
    # What waits is old enough at once: the archive works all the time, as it does under a steady load.
    chosen = {"archive": archive, "archive_types": ("noop",), "archive_seconds": 0.05}
    settings = plain.model_copy(
        update={
            "streams": plain.streams.model_copy(update=chosen),
            "blobs": plain.blobs.model_copy(update={"url": directory}),
        }
    )
    publish(settings)
    return asyncio.run(_drain(settings, archive=archive))


async def _drain(settings: Settings, *, archive: bool) -> tuple[float, float, float]:
    keys, counter = Keys(settings.cache.key_prefix), Counter()
    types = Registry({"noop": Noop}, {"noop": handler(counter)}).pick(None)
    store, beats = open_async_store(settings), open_store(settings)
    worker = Worker(settings, types, store, beats, None, SystemClock())
    started, used = time.perf_counter(), time.process_time()
    with archiving(settings) if archive else nullcontext():
        running = asyncio.create_task(worker.run())
        while counter.seen < COMMANDS:  # noqa: ASYNC110 - an event would cost the handler something
            await asyncio.sleep(0.005)
        while (await store.drive(overview(keys, ["noop"])))[0].pending:  # noqa: ASYNC110 - asks the server
            await asyncio.sleep(0.001)
        done = time.perf_counter() - started
        while archive and await _archived(store, keys) < COMMANDS:  # noqa: ASYNC110 - same
            await asyncio.sleep(0.005)
        both, cpu = time.perf_counter() - started, time.process_time() - used
    assert counter.seen == COMMANDS, "something ran twice"
    worker.stop()
    await running
    await store.close()
    beats.close()
    return COMMANDS / done, COMMANDS / both, COMMANDS / cpu


async def _archived(store: AsyncStore, keys: Keys) -> int:
    rows = await store.run_all([PartitionArchive(keys, ["noop"], p).status() for p in PARTITIONS])
    return sum(row.archived for partition in rows for row in partition)


def main() -> None:
    calm_collector()  # as `riptide worker` does
    chosen = harness.options(__doc__, rounds=7)
    done = harness.Comparison("drain, archive on", "archive off", "commands/s", reach=">= 0.9")
    both = harness.Comparison("drain until archived, too", "archive off", "commands/s", reach=">= 0.9")
    cpu = harness.Comparison("the same by CPU time", "archive off", "commands/CPU s", reach="-")
    directory = tempfile.mkdtemp()
    try:
        with harness.server(same_cpu=chosen.same_cpu) as url:
            run(url, directory, archive=False), run(url, directory, archive=True)
            for _ in range(chosen.rounds):
                without, _, without_cpu = run(url, directory, archive=False)
                done_rate, both_rate, cpu_rate = run(url, directory, archive=True)
                done.pairs.append((without, done_rate))
                both.pairs.append((without, both_rate))
                cpu.pairs.append((without_cpu, cpu_rate))
    finally:
        shutil.rmtree(directory)
    harness.report([done, both, cpu])


if __name__ == "__main__":
    main()
