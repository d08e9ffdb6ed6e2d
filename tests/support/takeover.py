"""How long a killed worker's commands wait for their next start, with an idle worker at hand.

    python -m tests.support.takeover --url redis://127.0.0.1:6379 --kills 20

kills so many workers, each holding ten commands, and prints percentiles.
"""

import argparse
import random
import secrets
import statistics
import tempfile
import time
from pathlib import Path

import riptide
from tests.support.commands import Effect
from tests.support.deployment import Deployment
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess


def kill_to_start(deployment: Deployment, directory: Path, held: int) -> list[float]:
    """Kill a worker that runs `held` commands; seconds from the kill to each start in an idle worker."""
    into = f"{deployment.prefix}:{secrets.token_hex(4)}"
    with WorkerProcess(deployment, directory, concurrency=held) as dying:
        with riptide.connect(config=deployment.settings()) as rt:
            rt.publish_many([riptide.Outgoing(Effect(into=into, seconds=60, how="first"))] * held)
        eventually(lambda: len(deployment.starts(into)) == held, "the first starts")
        with WorkerProcess(deployment, directory, concurrency=held) as idle:
            # Nobody is declared dead by who has not itself been there for a lease.
            eventually(lambda: deployment.seconds_there(idle.names[0]) > 3, "the idle one to count")
            time.sleep(random.random())  # the kill is to come at any phase of the heartbeats
            dying.kill()
            killed = time.time()
            eventually(lambda: len(deployment.starts(into)) == 2 * held, "the next starts")
            eventually(lambda: len(deployment.done(into)) == held, "their ends")
    return [at - killed for at in deployment.start_times(into)[held:]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="redis://127.0.0.1:6379")
    arguments.add_argument("--kills", type=int, default=20)
    given = arguments.parse_args()
    deployment = Deployment(given.url, f"t{secrets.token_hex(4)}")
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(given.kills):
            seconds += kill_to_start(deployment, Path(directory), held=10)
    cuts = statistics.quantiles(seconds, n=100)
    print(  # noqa: T201 - it is a program
        f"kill -> start: {len(seconds)} commands of {given.kills} killed workers: "
        f"p50 {cuts[49]:.2f} s, p90 {cuts[89]:.2f} s, p99 {cuts[98]:.2f} s, worst {max(seconds):.2f} s"
    )


if __name__ == "__main__":
    main()
