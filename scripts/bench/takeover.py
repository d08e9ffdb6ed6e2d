"""From the SIGKILL of a worker to the next start of what it held, in an idle worker with default settings.

There is no floor: plain redis-py never starts it again. Each kill takes a worker that holds ten commands.
"""

import argparse
import secrets
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.progress import track

from scripts.bench import harness
from tests.support.deployment import Deployment
from tests.support.takeover import kill_to_start

HELD = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="workers to kill (default %(default)s)")
    kills = parser.parse_args().kills
    seconds: list[float] = []
    with harness.server(same_cpu=False) as url, tempfile.TemporaryDirectory() as directory:
        deployment = Deployment(url, f"bench{secrets.token_hex(4)}")
        for _ in track(range(kills), "Killing", console=harness.console, transient=True):
            seconds += kill_to_start(deployment, Path(directory), held=HELD)
    cuts = statistics.quantiles(seconds, n=100)
    harness.console.print(
        f"kill -> start, {len(seconds)} commands of {kills} killed workers: p50 {cuts[49]:.2f} s, "
        f"p90 {cuts[89]:.2f} s, p99 {cuts[98]:.2f} s, worst {max(seconds):.2f} s (reach: p99 <= 3 s)"
    )


if __name__ == "__main__":
    main()
