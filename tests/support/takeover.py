"""How long a killed worker's commands wait for their next start, with an idle worker at hand."""

import random
import secrets
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
            eventually(lambda: idle.seconds_there > 3, "the idle one to count")
            time.sleep(random.random())  # the kill is to come at any phase of the heartbeats
            dying.kill()
            killed = time.time()
            eventually(lambda: len(deployment.starts(into)) == 2 * held, "the next starts")
            eventually(lambda: len(deployment.done(into)) == held, "their ends")
    return [at - killed for at in deployment.start_times(into)[held:]]
