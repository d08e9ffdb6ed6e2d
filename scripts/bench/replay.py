"""Replay: how fast commands are read again, judged and sent, from their streams and from the archive.

Floor: publishing as many of them in batches of a hundred. What is replayed was lost since: the streams are
those of another server, as with `riptide replay --into`.
"""

import itertools
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from riptide.cli.worker import archiving, calm_collector
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.state.archive.operations import PartitionArchive
from riptide.state.blobs import open_blobs
from riptide.state.replay.cursor import Cursor
from riptide.state.replay.replaying import Progress, Replay
from riptide.state.replay.selection import Selection
from riptide.state.replay.sources import Archive, Source, Streams
from riptide.state.replay.target import Target
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.sync import Store, open_store
from riptide.streams.publishing import Outgoing, Publisher
from scripts.bench import harness
from scripts.bench.noop import Noop

COMMANDS, TENANTS, BATCH = 50_000, 50, 100
_runs = itertools.count()


def publish(settings: Settings, store: Store) -> float:
    """Commands a second."""
    publisher = Publisher(Keys(settings.cache.key_prefix), settings.streams, {"noop": Noop}, SystemClock())
    started = time.perf_counter()
    for start in range(0, COMMANDS, BATCH):
        numbers = range(start, start + BATCH)
        store.drive(publisher.publish_many([Outgoing(Noop(n=n), f"tenant-{n % TENANTS}") for n in numbers]))
    return COMMANDS / (time.perf_counter() - started)


def replay(source: Source, store: Store, settings: Settings, directory: Path) -> float:
    """Commands a second, with a cursor that is saved after each page, as the command line does."""
    into = Keys(f"into{next(_runs)}")
    selection, progress = Selection(types=("noop",)), Progress()
    cursor, place = Cursor("stream", selection, None, again=False), directory / "cursor.json"
    target = Target(store, into, settings.streams, None)
    work = Replay(source, selection, target, progress, judging=True)
    started = time.perf_counter()
    work.run(lambda: cursor.save(place), lambda _weight: None)
    took = time.perf_counter() - started
    assert sum(progress.tally.values()) == COMMANDS, progress.tally
    return COMMANDS / took


def archive(settings: Settings, store: Store) -> None:
    keys = Keys(settings.cache.key_prefix)
    with archiving(settings):
        while True:
            rows = store.run_all([PartitionArchive(keys, ["noop"], p).status() for p in PARTITIONS])
            if sum(row.archived for partition in rows for row in partition) >= COMMANDS:
                return
            time.sleep(0.05)


def measure(url: str, rounds: int, directory: Path) -> list[harness.Comparison]:
    streams = harness.Comparison("replay from streams", "publish in batches", "commands/s", reach=">= 0.8")
    archived = harness.Comparison("replay from the archive", "same", "commands/s", reach=">= 0.8")
    for number in range(rounds + 1):
        harness.flush(url)
        plain = harness.settings(url, "bench")
        chosen = {"archive": True, "archive_types": ("noop",), "archive_seconds": 0.05}
        settings = plain.model_copy(
            update={
                "streams": plain.streams.model_copy(update=chosen),
                "blobs": plain.blobs.model_copy(update={"url": str(directory / f"blobs{number}")}),
            }
        )
        keys, store = Keys("bench"), open_store(settings)
        floor = publish(settings, store)
        one = replay(Streams(store, keys, ["noop"]), store, settings, directory)
        archive(settings, store)
        other = replay(Archive(open_blobs(settings.blobs), "bench", ("noop",)), store, settings, directory)
        store.close()
        if number:  # the first one does not count
            streams.pairs.append((floor, one))
            archived.pairs.append((floor, other))
    return [streams, archived]


def main() -> None:
    calm_collector()
    chosen = harness.options(__doc__, rounds=5)
    directory = tempfile.mkdtemp()
    try:
        with harness.server(same_cpu=chosen.same_cpu) as url:
            found = measure(url, chosen.rounds, Path(directory))
    finally:
        shutil.rmtree(directory)
    harness.report(found)


if __name__ == "__main__":
    main()
