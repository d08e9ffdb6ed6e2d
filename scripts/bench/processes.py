"""Two worker processes on two CPUs beside one, with a handler that works and with one that does nothing.

The handler that works reads, changes and writes a JSON document of 6 KB per command. The server is on the
first CPU, the one worker on the second; with two, the other is on the third, or beside the server where there
is none. How far the CPUs could carry two is told from the CPU time that the server used for the one.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
import timeit
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.progress import track
from rich.table import Table

from scripts.bench import harness
from scripts.bench.load import Backlog, RealWorker, cpu_seconds
from scripts.bench.workload import work

REACH = 1.6
KINDS = {"work": 100_000, "noop": 500_000}  # type -> backlog that outlasts a measurement
_runs = itertools.count()


@dataclass(frozen=True, slots=True)
class Drain:
    """Commands a second, and what part of a CPU the server used for them."""

    rate: float
    server: float


def drain(url: str, server_pid: int, kind: str, processes: int, seconds: float) -> Drain:
    """Let that many workers drain a backlog, and watch for `seconds` when all of them are at it."""
    backlog = Backlog(url, f"run{next(_runs)}", kind)
    backlog.publish(KINDS[kind])
    cpus = worker_cpus(sorted(os.sched_getaffinity(server_pid) | os.sched_getaffinity(0)))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for cpu in cpus[:processes]:
            stack.enter_context(RealWorker(backlog, directory, cpu))
        backlog.wait(lambda: backlog.state().consumers == processes)
        time.sleep(0.3)
        begun, done, used = time.perf_counter(), backlog.done(), cpu_seconds(server_pid)
        time.sleep(seconds)
        took = time.perf_counter() - begun
        result = Drain((backlog.done() - done) / took, (cpu_seconds(server_pid) - used) / took)
        if backlog.done() >= KINDS[kind]:
            raise SystemExit(f"the backlog of {KINDS[kind]:,} was drained too soon: choose fewer --seconds")
    backlog.close()
    return result


def worker_cpus(cpus: list[int]) -> tuple[int, int]:
    """Of the CPUs that there are, in order; the server has the first."""
    return cpus[min(1, len(cpus) - 1)], cpus[2] if len(cpus) > 2 else cpus[0]


def verdict(one: list[Drain], two: list[Drain], cpus: int) -> tuple[float, float, str]:
    """How many times as fast as one two are, how many times the CPUs would allow, and what follows.

    One worker fills a CPU; the server's part grows with the rate, and has to fit into its own CPU, or on a
    machine with two into what the second worker leaves.
    """
    ratio = statistics.median(d.rate for d in two) / statistics.median(d.rate for d in one)
    share = statistics.median(d.server for d in one)
    limit = min(2.0, 1 / share, min(cpus, 3) / (1 + share))
    if ratio >= REACH:
        return ratio, limit, "reached"
    if limit >= REACH:
        return ratio, limit, "NOT REACHED"
    return ratio, limit, "the server is the limit" if 1 / share < REACH else "the CPUs are full"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement (default %(default)s)")
    chosen = parser.parse_args()
    drains: dict[tuple[str, int], list[Drain]] = {(kind, n): [] for kind in KINDS for n in (1, 2)}
    with harness.server(same_cpu=False) as url:
        pid = harness.server_pid(url)
        microseconds = timeit.timeit(work, number=500) / 500 * 1e6
        for _ in track(range(chosen.rounds), "Draining", console=harness.console, transient=True):
            for (kind, processes), results in drains.items():
                results.append(drain(url, pid, kind, processes, chosen.seconds))
                harness.flush(url)
    table = Table()
    for column in (
        "handler",
        "one: commands/s",
        "server's CPU",
        "two: commands/s",
        "server's CPU",
        "ratio",
        "the CPUs allow",
        f"reach >= {REACH}",
    ):
        table.add_column(column)
    for kind, name in {"work": f"works for {microseconds:.0f} us", "noop": "does nothing"}.items():
        one, two = drains[kind, 1], drains[kind, 2]
        ratio, limit, outcome = verdict(one, two, os.cpu_count() or 1)
        cells = [
            cell
            for results in (one, two)
            for cell in (
                f"{statistics.median(d.rate for d in results):,.0f}",
                f"{statistics.median(d.server for d in results):.0%}",
            )
        ]
        table.add_row(name, *cells, f"{ratio:.2f}", f"{limit:.2f}", outcome)
    harness.console.print(table)


if __name__ == "__main__":
    main()
