"""Workers are killed: every command ends done or in the dead letters, each effect as if done once."""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import pytest

import riptide
from riptide.store.keys import GROUP, PARTITIONS
from tests.support.commands import Bulk, Effect
from tests.support.deployment import SHORT, STEADY, Deployment
from tests.support.takeover import kill_to_start
from tests.support.waiting import PATIENCE, aeventually, eventually
from tests.support.workers import WorkerProcess, running_worker

pytestmark = [pytest.mark.faults, pytest.mark.slow]

COUNT = int(os.environ.get("RIPTIDE_TEST_COMMANDS", "50000"))
KILLS = 20


@pytest.mark.timeout(600)  # it keeps two cores busy for as long as they need
def test_20_kills_during_50000_commands(alone: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """Most are cheap, some retried, refused or slow. Of two workers one is killed and replaced, 20 times."""
    into = alone.prefix
    special = [
        Effect(into=into),
        Effect(into=into, end="retry", until_attempt=2),
        Effect(into=into, end="dead"),
        Effect(into=into, seconds=0.05),
    ]
    total = 0
    workers = [WorkerProcess(alone, tmp_path, **SHORT).start() for _ in range(2)]
    try:
        with riptide.connect(config=alone.settings()) as rt:
            for kill in range(KILLS):
                batch = [
                    riptide.Outgoing(Bulk(into=into), tenant=f"t{n % 50}") for n in range(COUNT // KILLS - 40)
                ]
                batch += [riptide.Outgoing(special[n % 4], tenant=f"t{n}") for n in range(40)]
                rng.shuffle(batch)
                total += len(rt.publish_many(batch))
                # In the middle of its work: after some of this round's effects.
                _wait_for_effects(alone, total - len(batch) + rng.randrange(1, len(batch) // 2))
                victim = kill % 2
                workers[victim].kill()
                workers[victim] = WorkerProcess(alone, tmp_path, **SHORT).launch()
            eventually(lambda: alone.at_rest("bulk", "effect"), "all to end", 2 * PATIENCE)
    finally:
        for worker in workers:
            worker.kill()
    published = alone.published_ids(["bulk", "effect"])
    dead = Counter(letter[b"id"].decode() for letter in alone.letters("effect") + alone.letters("bulk"))
    assert len(published) == total
    assert alone.done(into) | set(dead) == set(published), "every command ends done or in the dead letters"
    assert set(dead.values()) == {1}
    assert alone.done(into).isdisjoint(dead)
    reasons = Counter(letter[b"reason"] for letter in alone.letters("effect"))
    assert reasons[b"refused"] == KILLS * 10
    assert not alone.letters("bulk"), "what is merely unlucky is not given up"


def _wait_for_effects(deployment: Deployment, count: int) -> None:
    done = f"{deployment.prefix}:done"
    eventually(lambda: deployment.client.scard(done) >= count or deployment.at_rest("bulk"), "effects")


def test_what_a_killed_worker_held_runs_elsewhere(on_valkey: Deployment, tmp_path: Path) -> None:
    """With default settings. How long it takes is shown by `python -m tests.support.takeover`."""
    assert len(kill_to_start(on_valkey, tmp_path, held=10)) == 10


def test_a_worker_of_another_pool_does_not_hide_the_dead(alone: Deployment, tmp_path: Path) -> None:
    """It serves none of the dead one's types: it must leave it on the list for those who do, and may."""
    into = alone.prefix
    with (
        WorkerProcess(alone, tmp_path, commands=["noop"], **SHORT),
        WorkerProcess(alone, tmp_path, commands=["effect", "bulk"], concurrency=2, **SHORT) as dying,
        riptide.connect(config=alone.settings()) as rt,
    ):
        for _ in range(2):
            rt.publish(Effect(into=into, seconds=30, how="first"))
        eventually(lambda: len(alone.starts(into)) == 2, "the first starts")
        name = dying.names[0]
        dying.kill()
        # Longer than a lease: the other pool's worker has seen it overdue, more than once.
        clock = alone.client.time
        until = clock()[0] + 3
        eventually(lambda: clock()[0] >= until, "the lease to pass")
        assert name in alone.members(), "nobody who serves its types has taken it over yet"
        with WorkerProcess(alone, tmp_path, commands=["effect"], **SHORT):
            eventually(lambda: len(alone.done(into)) == 2, "both to run elsewhere")
            eventually(lambda: name not in alone.members(), "the dead one to be forgotten")


def test_a_busy_worker_leaves_to_an_idle_one_what_it_cannot_start(alone: Deployment, tmp_path: Path) -> None:
    into = alone.prefix
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, concurrency=3, **STEADY) as dying,
    ):
        for _ in range(3):
            rt.publish(Effect(into=into, seconds=60, how="first"))
        eventually(lambda: len(alone.starts(into)) == 3, "the dying one's starts")
        with WorkerProcess(alone, tmp_path, concurrency=2, **STEADY) as busy:
            for _ in range(2):
                rt.publish(Effect(into=f"{into}:busy", seconds=600))
            eventually(lambda: len(alone.starts(f"{into}:busy")) == 2, "the busy one to be busy")
            dying.kill()
            with WorkerProcess(alone, tmp_path, concurrency=3, **STEADY) as idle:
                eventually(lambda: len(alone.done(into)) == 3, "the idle one to take them")
                assert {pid for _, _, pid in alone.starts(into)[3:]} == {idle.pid}
                assert busy.returncode is None


def test_poison_ends_in_the_dead_letters_and_innocents_survive(alone: Deployment, tmp_path: Path) -> None:
    into = alone.prefix
    with riptide.connect(config=alone.settings()) as rt:
        poison = rt.publish(Effect(into=f"{into}:poison", end="exit", seconds=0.2))
        innocents = [rt.publish(Effect(into=into, seconds=0.3)) for _ in range(20)]
        workers = [WorkerProcess(alone, tmp_path, **SHORT).launch()]
        try:

            def over() -> bool:
                if workers[-1].returncode is not None:  # as a supervisor would
                    workers.append(WorkerProcess(alone, tmp_path, **SHORT).launch())
                return alone.at_rest("effect")

            eventually(over, "all to end", 2 * PATIENCE)
        finally:
            for worker in workers:
                worker.kill()
        states = {rt.status(ref).state for ref in innocents}
        status = rt.status(poison)
    assert states == {"done"}
    assert len(alone.done(into)) == 20
    assert status.state == "dead"
    [letter] = alone.letters("effect")
    assert letter[b"reason"] == b"lost"
    assert letter[b"attempts"] == b"5"
    assert [attempt for _, attempt, _ in alone.starts(f"{into}:poison")] == [1, 2, 3, 4, 5]


def test_retries_survive_the_worker_that_scheduled_them(alone: Deployment, tmp_path: Path) -> None:
    into = alone.prefix
    with riptide.connect(config=alone.settings()) as rt, WorkerProcess(alone, tmp_path, **SHORT) as first:
        ref = rt.publish(Effect(into=into, end="retry", retry_seconds=5, until_attempt=2))
        eventually(lambda: rt.status(ref).state == "retrying", "the retry to be scheduled")
        first.kill()
        with WorkerProcess(alone, tmp_path, **SHORT):
            assert rt.wait(ref, PATIENCE).state == "done"
    assert [attempt for _, attempt, _ in alone.starts(into)] == [1, 2]


def test_retries_survive_a_worker_that_leaves_in_order(alone: Deployment, tmp_path: Path) -> None:
    """The one that stays learns of them, though nobody has died."""
    into = alone.prefix
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, commands=["noop", "effect"], **SHORT) as leaving,
    ):
        ref = rt.publish(Effect(into=into, end="retry", retry_seconds=5, until_attempt=2))
        eventually(lambda: rt.status(ref).state == "retrying", "the retry to be scheduled")
        with WorkerProcess(alone, tmp_path, **SHORT):
            leaving.terminate()
            assert leaving.wait() == 0
            assert rt.wait(ref, PATIENCE).state == "done"


async def test_the_same_dead_worker_taken_over_by_several(alone: Deployment, tmp_path: Path) -> None:
    """Several take over at once: each entry runs with one of them."""
    into = alone.prefix
    settings = alone.settings(**SHORT)
    with WorkerProcess(alone, tmp_path, concurrency=30, **SHORT) as dying:
        async with await riptide.aconnect(config=settings) as rt:
            for n in range(30):
                await rt.publish(Effect(into=into, seconds=60, how="first"), tenant=f"t{n}")
            await asyncio.to_thread(eventually, lambda: len(alone.starts(into)) == 30, "the starts")
        async with running_worker(settings), running_worker(settings), running_worker(settings):
            dying.kill()
            await asyncio.to_thread(eventually, lambda: len(alone.done(into)) == 30, "the rest")
    assert set(alone.ends(into).values()) == {1}
    assert len(alone.starts(into)) == 60


async def test_consumers_of_vanished_workers_go_only_when_they_hold_nothing(on_valkey: Deployment) -> None:
    """Leaked ones would pile up for ever; one that holds an entry is first taken over."""
    partition = PARTITIONS[0]  # the first that a worker looks at
    key = on_valkey.keys.commands("effect", partition)
    on_valkey.client.xgroup_create(key, GROUP, id="0", mkstream=True)
    for n in range(40):
        on_valkey.client.xgroup_createconsumer(key, GROUP, f"gone.{n}.0")
    on_valkey.add("effect", {"body": f'{{"into":"{on_valkey.prefix}"}}'}, partition)
    on_valkey.client.xreadgroup(GROUP, "holds.1.0", {key: ">"})
    async with running_worker(on_valkey.settings()) as worker:

        async def only_the_living() -> bool:
            rows = await asyncio.to_thread(on_valkey.client.xinfo_consumers, key, GROUP)
            return {row["name"].decode() for row in rows} <= {worker.name}

        await aeventually(only_the_living, "the leaked consumers to go")
    assert len(on_valkey.done(on_valkey.prefix)) == 1
