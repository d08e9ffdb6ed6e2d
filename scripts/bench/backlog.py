"""What a command costs a worker with a million others waiting, beside a thousand.

A real worker process drains while this process, beside the server, keeps as many waiting as the measurement
asks for, by bare XADDs: publishing costs both the same. Interleaved, the same number of commands each time.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.progress import Progress

from riptide.store.keys import PARTITIONS, Keys
from scripts.bench import harness
from scripts.bench.load import Backlog, RealWorker

SMALL, LARGE = 1000, 1_000_000
_PAUSE_SECONDS = 0.002  # looking costs the server something too
_CHUNK = 20  # commands for each partition that one refill sends


class Feeder:
    """Keeps a number of commands waiting, from chunks that are packed once."""

    def __init__(self, backlog: Backlog, waiting: int) -> None:
        self.backlog, self._waiting = backlog, waiting
        self._connection = harness.connection(backlog.url)
        keys = [Keys(backlog.prefix).commands(backlog.kind, partition) for partition in PARTITIONS]
        command = [("XADD", key, "*", "tenant", "acme", "body", '{"n": 1}') for key in keys]
        self._packed = self._connection.pack_commands(command * _CHUNK)
        self._count = len(command) * _CHUNK
        self.looks = self.dry = 0

    def feed(self) -> int:
        """Add what is missing; how many commands are done so far."""
        time.sleep(_PAUSE_SECONDS)
        state = self.backlog.state()
        lag, done = state.lag or 0, self.backlog.finished(state)
        self.looks += 1
        self.dry += not lag
        for _ in range(-(-max(0, self._waiting - lag) // self._count)):
            self._connection.send_packed_command(self._packed)
            for _ in range(self._count):
                self._connection.read_response()
            self.backlog.published += self._count
        return done


def microseconds(feeder: Feeder, directory: Path, cpu: int, commands: int) -> float:
    """Time per command, over at least `commands` of them, of a worker that has warmed up."""
    with RealWorker(feeder.backlog, directory, cpu):
        begun, warm = feeder.feed(), commands // 5
        while (first := feeder.feed()) < begun + warm:
            pass
        feeder.looks = feeder.dry = 0
        started = time.perf_counter()
        while (last := feeder.feed()) < first + commands:
            pass
        return (time.perf_counter() - started) / (last - first) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default %(default)s)")
    parser.add_argument("--commands", type=int, default=50_000, help="measured (default %(default)s)")
    parser.add_argument("--backlog", type=int, default=LARGE, help="the large one (default %(default)s)")
    chosen = parser.parse_args()
    comparison = harness.Comparison(
        f"a command with {chosen.backlog:,} waiting", f"with {SMALL:,}", "us", reach="<= 1.1"
    )
    with harness.server(same_cpu=False) as url, tempfile.TemporaryDirectory() as directory:
        cpu = harness.client_cpu()
        os.sched_setaffinity(0, os.sched_getaffinity(harness.server_pid(url)))
        small = Feeder(Backlog(url, "small", "noop"), SMALL)
        large = Feeder(Backlog(url, "large", "noop"), chosen.backlog)
        with Progress(console=harness.console, transient=True) as progress:
            bar = progress.add_task("Publishing and draining", total=2 * chosen.rounds + 2)

            def measure(feeder: Feeder) -> float:
                result = microseconds(feeder, Path(directory), cpu, chosen.commands)
                progress.advance(bar)
                return result

            harness.interleave(chosen.rounds, comparison, lambda: measure(small), lambda: measure(large))
    harness.report([comparison])
    harness.console.print(f"the small one was found empty at {small.dry / small.looks:.0%} of the looks")


if __name__ == "__main__":
    main()
