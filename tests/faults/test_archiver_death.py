"""Archivers die at every step: what they leave, others find, and each entry is archived once."""

import itertools
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config import Settings
from riptide.state.archive.archiver import Archiver
from riptide.state.blobs import open_blobs
from riptide.store.keys import PARTITIONS
from riptide.store.sync import open_store
from tests.support.archives import (
    QUICK,
    archive_settings,
    archived,
    archiving,
    in_streams,
    lag,
    problems,
    wait_archived,
)
from tests.support.commands import Bulk
from tests.support.deployment import Deployment
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.faults, pytest.mark.slow]

KILLS = 5
SOON = {"archive_types": ["bulk"], "archive_seconds": 0.02, "archive_segment_bytes": 2048}


def test_workers_are_killed_while_they_archive(alone: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """Of two workers one is killed and replaced, at moments that know nothing of what it does."""
    settings = archive_settings(alone, tmp_path, "bulk")
    workers = [WorkerProcess(alone, tmp_path, streams=SOON, **QUICK).start() for _ in range(2)]
    total = 0
    try:
        with riptide.connect(config=settings) as rt:
            for kill in range(KILLS):
                batch = [riptide.Outgoing(Bulk(into=alone.prefix), tenant=f"t{n % 50}") for n in range(1500)]
                total += len(rt.publish_many(batch))
                # In the middle of it: when part of this round is archived.
                wanted = rng.randrange(0, 1500)
                eventually(lambda n=wanted: lag(settings, "bulk") <= n, "part of it to be archived")  # type: ignore[misc]
                workers[kill % 2].kill()
                workers[kill % 2] = WorkerProcess(alone, tmp_path, streams=SOON, **QUICK).launch()
        eventually(lambda: len(alone.done(alone.prefix)) == total, "all to be done")
        wait_archived(settings, "bulk")
    finally:
        for worker in workers:
            worker.kill()
    assert archived(settings, "bulk") == in_streams(alone, "bulk")
    assert not problems(settings, "bulk")


class Died(BaseException):
    """What stands for the end of the process: nothing that comes after it is carried out."""


class Mortal:
    """Passes calls on until the n-th, and dies before or after that one."""

    def __init__(self, at: int, moment: str) -> None:
        self._left = itertools.count(at, -1)
        self._moment = moment
        self.dead = False

    def watch(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **named: Any) -> Any:
            if self.dead:
                raise Died
            last = next(self._left) == 0
            if last and self._moment == "before":
                self.dead = True
                raise Died
            answer = call(*args, **named)
            if last:
                self.dead = True
                raise Died
            return answer

        return watched


def _die(settings: Settings, at: int, moment: str) -> bool:
    """One archiver, whose calls to the server and to the blob store end at the n-th; False if it came to an
    end before that."""
    mortal = Mortal(at, moment)
    blobs, store = open_blobs(settings.blobs), open_store(settings)
    archiver = Archiver(settings, f"mortal-{at}-{moment}", blobs)
    archiver._lease = 0.02  # the next one need not wait long
    watched: Any = archiver
    watched._store = store
    for owner, names in ((store, ("run", "run_all")), (blobs, ("put",)), (archiver._raw, ("read",))):
        for name in names:
            setattr(owner, name, mortal.watch(getattr(owner, name)))
    with suppress(Died):
        while lag(settings) and not mortal.dead:
            archiver._look_at = dict.fromkeys(PARTITIONS, 0.0)
            archiver._pass()
    archiver._uploads.shutdown()
    archiver._raw.close()
    store.close()
    return mortal.dead


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_archiver_dies_at_every_call(on_valkey: Deployment, tmp_path: Path, moment: str) -> None:
    settings = archive_settings(on_valkey, tmp_path, archive_segment_bytes=1024, archive_seconds=0.001)
    deaths = 0
    for at in range(12):
        for n, partition in itertools.product(range(3), PARTITIONS[:2]):
            on_valkey.add("noop", {"body": "{}", "at": str(at), "n": str(n)}, partition)
        time.sleep(0.021)  # the lease of the one before, and what archive_seconds asks for
        deaths += _die(settings, at, moment)
    assert deaths >= 6, "it makes several calls"
    with archiving(settings):
        wait_archived(settings)
    assert archived(settings) == in_streams(on_valkey)
    assert not problems(settings)
