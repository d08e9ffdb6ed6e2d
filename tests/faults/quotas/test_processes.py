"""Eight processes on one quota, by leases, killed while they hold some: no window has more than the limit."""

import random
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from riptide.reads.assembly import assemble
from riptide.reads.sync_tenants import Tenants
from riptide.store.sync import open_store
from tests.servers import Server
from tests.support.crew import Hand, Place, running
from tests.support.history import Recorder
from tests.support.quota_crew import RATE, Use, cycle_of, most_in_a_window, use_up, uses
from tests.support.waiting import eventually

PROCESSES, PER_SECOND, CYCLES = 8, 400, 4


def test_the_checker_finds_one_too_many() -> None:
    rows = [Use(10.0 + n / 10, 10.05 + n / 10, 1) for n in range(100)]
    assert most_in_a_window(rows, 2.0) == 20
    assert most_in_a_window([*rows, Use(12.0, 12.01, 5)], 2.0) == 25
    assert most_in_a_window([*rows, Use(5.0, 18.0, 5)], 2.0) == 20  # it may have been at any time


@pytest.mark.faults
@pytest.mark.slow
def test_no_window_has_more_than_the_limit(
    valkey: Server, prefix: str, tmp_path: Path, rng: random.Random, pytestconfig: pytest.Config
) -> None:
    """`--quota-window 60 --timeout 0` takes the windows that tenants have."""
    window = int(pytestconfig.option.quota_window)
    cycle = cycle_of(window)
    limit, directory = PER_SECOND * window, tmp_path / "ledgers"
    directory.mkdir()
    place = Place(valkey.url, prefix, directory, sections={"tenant": {"enabled": True}})
    settings = place.settings()
    with closing(open_store(settings)) as store:
        Tenants(store, assemble(None, settings).registry).create("acme", quotas={RATE: limit})
    recorder = Recorder(tmp_path / "history")
    hands = [Hand(use_up, place, recorder, window, "acme") for _ in range(PROCESSES)]
    kills = 0
    with running(hands) as stack:
        eventually(lambda: len(list(directory.iterdir())) >= PROCESSES, "all processes to begin")
        until = time.monotonic() + CYCLES * cycle
        while time.monotonic() < until:
            time.sleep(rng.uniform(0.1, 0.5) * cycle)
            victim = rng.randrange(PROCESSES)
            hands[victim].kill()
            hands[victim] = stack.enter_context(Hand(use_up, place, recorder, window, "acme"))
            kills += 1
    found = uses(directory)
    most = most_in_a_window(found, window)
    told = f"{len(found):,} uses, {kills} kills: at most {most:,} of {limit:,} in any {window} s"
    sys.stdout.write(f"{told}\n")
    assert most <= limit, told
    assert sum(use.amount for use in found) > limit  # it was reached, and reached again
