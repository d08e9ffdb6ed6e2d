"""Memory of a real worker process after a million commands, beside what it was after the first ten thousand.

The commands do nothing; publishing keeps no more than a slice ahead of the worker.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.progress import Progress

from scripts.bench import harness
from scripts.bench.load import Backlog, RealWorker, resident_kib

FIRST, SLICE, REACH = 10_000, 50_000, 1.1
_SETTLE_SECONDS = 2


def measure(backlog: Backlog, directory: Path, commands: int) -> tuple[int, int]:
    """KiB in RAM after FIRST commands, and after `commands`."""
    with (
        Progress(console=harness.console, transient=True) as progress,
        RealWorker(backlog, directory, harness.client_cpu()) as worker,
    ):
        bar = progress.add_task("Working", total=commands)

        def carry_out(upto: int, published: int) -> int:
            backlog.publish(upto - published)
            backlog.wait(lambda: backlog.done() >= upto)
            progress.update(bar, completed=upto)
            return upto

        published = carry_out(FIRST, 0)
        time.sleep(_SETTLE_SECONDS)
        first = resident_kib(worker.pid)
        while published < commands:
            published = carry_out(min(commands, published + SLICE), published)
        time.sleep(_SETTLE_SECONDS)
        return first, resident_kib(worker.pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=1_000_000, help="(default %(default)s)")
    commands = parser.parse_args().commands
    with harness.server(same_cpu=False) as url, tempfile.TemporaryDirectory() as directory:
        first, last = measure(Backlog(url, "memory", "noop"), Path(directory), commands)
    harness.console.print(
        f"worker's memory: {first / 1024:.1f} MiB after {FIRST:,} commands, {last / 1024:.1f} MiB after "
        f"{commands:,}: {last / first:.2f} x (reach: <= {REACH} x)"
    )


if __name__ == "__main__":
    main()
