"""Workers that hang, are stopped and continued, told to end; and servers that go away and come back."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.streams.message import Ref
from tests.servers import ServerProcess
from tests.support.commands import Bulk, Effect, Noop
from tests.support.deployment import SHORT, Deployment
from tests.support.waiting import PATIENCE, aeventually, eventually
from tests.support.workers import WorkerProcess, running_worker

pytestmark = [pytest.mark.faults, pytest.mark.slow]

#: So many leases, of which each outlasts what a busy machine may withhold from a heartbeat.
LEASES, LEASE_SECONDS = 3, 3.0


@pytest.mark.parametrize("how", ["async", "block"])
def test_a_slow_handler_of_a_living_worker_runs_once(
    alone: Deployment, tmp_path: Path, how: str, pytestconfig: pytest.Config
) -> None:
    """Also one that blocks the event loop's thread: several leases long, with an idle worker at hand."""
    into = alone.prefix
    seconds = float(pytestconfig.getoption("--slow-handler-seconds"))
    short = {"workers": {"lease_seconds": LEASE_SECONDS}, "distributed": SHORT["distributed"]}
    settings = {} if seconds else short
    seconds = seconds or LEASES * LEASE_SECONDS
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, commands=["effect"], **settings) as slow,
    ):
        ref = rt.publish(Effect(into=into, seconds=seconds, how=how))
        eventually(lambda: alone.starts(into), "the start")
        with WorkerProcess(alone, tmp_path, **settings):
            assert rt.wait(ref, seconds + PATIENCE).state == "done"
        assert slow.returncode is None
    assert [(attempt, pid) for _, attempt, pid in alone.starts(into)] == [(1, slow.pid)]
    assert sum(alone.ends(into).values()) == 1


def test_a_handler_that_hangs_the_loop_is_ended_by_its_timeout(alone: Deployment, tmp_path: Path) -> None:
    """The process starts itself anew in place; what it ran is taken over, and runs again."""
    into = alone.prefix
    short: dict[str, Any] = {
        # Its last attempt, too, has to end within the timeout.
        "workers": {"lease_seconds": 1.0, "handler_timeouts": {"effect": 3.0}, "max_attempts": 2}
    }
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, distributed=SHORT["distributed"], **short) as worker,
    ):
        before = worker.names
        # A type of a far longer timeout has run before: it must not lend its patience to this one.
        assert rt.wait(rt.publish(Noop()), PATIENCE).state == "done"
        ref = rt.publish(Effect(into=into, seconds=600, how="block-first"))
        assert rt.wait(ref, PATIENCE).state == "done"
        assert worker.returncode is None
        eventually(lambda: worker.names and not set(before) & set(worker.names), "the new incarnation alone")
    assert [(attempt, pid) for _, attempt, pid in alone.starts(into)] == [(1, worker.pid), (2, worker.pid)]
    assert "starting anew" in worker.log
    assert "time.sleep" in worker.log or "commands.py" in worker.log, "it says where it hung"


def test_a_stopped_worker_that_goes_on_harms_nothing(alone: Deployment, tmp_path: Path) -> None:
    """Stopped until taken over, then continued: it acknowledges and overwrites nothing, and goes on anew."""
    into = alone.prefix
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, concurrency=3, **SHORT) as zombie,
    ):
        # At its second start each ends differently from what the zombie will say of it.
        refs = {
            "returns": rt.publish(Effect(into=into, seconds=8, how="first", end="result")),
            "dies": rt.publish(Effect(into=into, seconds=8, how="first", end="dead-later")),
        }
        eventually(lambda: len(alone.starts(into)) == 2, "the zombie's starts")
        old = zombie.names[0]
        with WorkerProcess(alone, tmp_path, **SHORT) as heir:
            eventually(lambda: heir.seconds_there > 1.2, "the heir to count")
            zombie.pause()
            # Its read waits at the server still, and may be given these.
            late = [rt.publish(Effect(into=into), tenant=f"t{n}") for n in range(20)]
            assert rt.wait(refs["returns"], PATIENCE).value == {"attempt": 2}
            assert rt.wait(refs["dies"], PATIENCE).state == "dead"
            eventually(lambda: old not in alone.members(), "the zombie to be forgotten")
            letters = alone.letters("effect")
            begun = max(alone.start_times(into)[:2])
            eventually(lambda: time.time() > begun + 8, "the zombie's handlers to be over when it goes on")
            zombie.resume()
            eventually(lambda: [name for name in zombie.names if name != old], "the zombie to go on anew")
            assert {rt.wait(ref, PATIENCE).state for ref in late} == {"done"}
            heir.terminate()
            assert heir.wait() == 0
            # It works on, under its new name, and alone.
            again = [rt.publish(Effect(into=into), tenant=f"t{n}") for n in range(20)]
            assert {rt.wait(ref, PATIENCE).state for ref in again} == {"done"}
        assert rt.status(refs["returns"]).value == {"attempt": 2}
        assert rt.status(refs["dies"]).state == "dead"
        eventually(lambda: alone.at_rest("effect"), "nothing to be left behind")
    assert alone.letters("effect") == letters
    # A handler that had begun may finish: its effect is idempotent, and nobody is told of it.
    dies = {letter[b"id"].decode() for letter in letters}
    assert len(alone.done(into) - dies) == 41


def test_sigterm_finishes_what_runs_and_hands_back_the_rest(deployment: Deployment, tmp_path: Path) -> None:
    into = deployment.prefix
    with (
        riptide.connect(config=deployment.settings()) as rt,
        WorkerProcess(deployment, tmp_path, concurrency=2) as worker,
    ):
        refs = [rt.publish(Effect(into=into, seconds=1), tenant=f"t{n}") for n in range(20)]
        eventually(lambda: len(deployment.starts(into)) == 2, "two to run")
        worker.terminate()
        assert worker.wait() == 0
        started = len(deployment.starts(into))
        assert len(deployment.done(into)) == started < len(refs), "what ran was finished"
        assert deployment.pending("effect") == {}, "what did not run is free for all"
        assert deployment.members() == [], "it has signed off"
        with WorkerProcess(deployment, tmp_path):
            assert {rt.wait(ref, PATIENCE).state for ref in refs} == {"done"}
    assert [attempt for _, attempt, _ in deployment.starts(into)] == [1] * len(refs)


def test_sigterm_under_full_load_drops_nothing(alone: Deployment, tmp_path: Path) -> None:
    """Many wait, some run, and more are published meanwhile: each is done, and none was started twice."""
    into = alone.prefix
    refs: list[Ref] = []
    over = threading.Event()
    with riptide.connect(config=alone.settings()) as rt:

        def publish() -> None:
            while not over.is_set():
                eventually(
                    lambda: over.is_set() or len(refs) - alone.client.scard(f"{into}:done") < 3000,
                    "some to be done",
                )
                batch = [riptide.Outgoing(Effect(into=into), tenant=f"t{n}") for n in range(50)]
                refs.extend(rt.publish_many(batch))

        publisher = threading.Thread(target=publish)
        with WorkerProcess(alone, tmp_path) as worker:
            publisher.start()
            try:
                eventually(lambda: alone.client.scard(f"{into}:done") > 500, "full load")
                worker.terminate()
                assert worker.wait() == 0
            finally:
                over.set()
                publisher.join()
        assert alone.pending("effect") == {}
        with WorkerProcess(alone, tmp_path):
            eventually(lambda: alone.at_rest("effect"), "the rest to be done")
    assert len(alone.done(into)) == len(refs)
    assert {attempt for _, attempt, _ in alone.starts(into)} == {1}
    assert alone.letters("effect") == []


def test_without_grace_it_ends_at_once_and_hands_everything_back(alone: Deployment, tmp_path: Path) -> None:
    into = alone.prefix
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, state={"enable_graceful_shutdown": False}) as worker,
    ):
        ref = rt.publish(Effect(into=into, seconds=600, how="first"))
        eventually(lambda: alone.starts(into), "the start")
        worker.terminate()
        assert worker.wait() == 0
        assert alone.pending("effect") == {}
        with WorkerProcess(alone, tmp_path):
            assert rt.wait(ref, PATIENCE).state == "done"


def test_what_outlasts_the_shutdown_is_handed_back(alone: Deployment, tmp_path: Path) -> None:
    into = alone.prefix
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, state={"shutdown_timeout_seconds": 0.2}) as worker,
    ):
        ref = rt.publish(Effect(into=into, seconds=600, how="first"))
        eventually(lambda: alone.starts(into), "the start")
        worker.terminate()
        assert worker.wait() == 0
        assert alone.pending("effect") == {}
        with WorkerProcess(alone, tmp_path):
            assert rt.wait(ref, PATIENCE).state == "done"
    assert [attempt for _, attempt, _ in alone.starts(into)] == [1, 2], "it had been started: that counts"


def test_handlers_that_cannot_be_ended_keep_nobody(alone: Deployment, tmp_path: Path) -> None:
    """They swallow their cancellation, again and again, or wait for a thread: others run them again."""
    into, hows = alone.prefix, ("ignore", "stubborn", "thread")
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, state={"shutdown_timeout_seconds": 0.5}, **SHORT) as worker,
    ):
        for how in hows:
            rt.publish(Effect(into=into, seconds=600, how=how))
        eventually(lambda: len(alone.starts(into)) == len(hows), "the starts")
        worker.terminate()
        assert worker.wait() == 0
        assert "it is left behind" in worker.log
        assert "cannot settle" not in worker.log
        alone.client.delete(f"{into}:starts")
        with WorkerProcess(alone, tmp_path, **SHORT):
            eventually(lambda: len(alone.starts(into)) == len(hows), "another to run all of them")


@pytest.mark.parametrize("how", ["first", "block-first"])
def test_a_second_signal_stops_at_once(how: str, alone: Deployment, tmp_path: Path) -> None:
    into = alone.prefix
    with (
        riptide.connect(config=alone.settings()) as rt,
        WorkerProcess(alone, tmp_path, **SHORT) as worker,
    ):
        ref = rt.publish(Effect(into=into, seconds=600, how=how))
        eventually(lambda: alone.starts(into), "the start")
        worker.terminate()
        eventually(lambda: "a second signal" in worker.log, "the first signal to be heard")
        worker.terminate()
        assert worker.wait() == 130
        with WorkerProcess(alone, tmp_path, **SHORT):
            assert rt.wait(ref, PATIENCE).state == "done"


async def test_a_flushed_server(private_server: Callable[..., ServerProcess], prefix: str) -> None:
    """Workers make their groups and fences anew and go on, more than once."""
    for kind in ("valkey", "redis7", "redis8"):
        deployment = Deployment(private_server(kind, aof=False).url, prefix)
        settings = deployment.settings(streams={"block_ms": 10_000})  # they must not wait for BLOCK to end
        async with (
            await riptide.aconnect(config=settings) as rt,
            running_worker(settings),
            running_worker(settings),
        ):
            for _ in range(3):
                ref = await rt.publish(Effect(into=prefix))
                assert (await rt.wait(ref, PATIENCE)).state == "done"
                deployment.client.flushall()
            ref = await rt.publish(Effect(into=prefix))
            assert (await rt.wait(ref, PATIENCE)).state == "done"
        deployment.close()


async def test_a_restarted_server_with_aof(private_server: Callable[..., ServerProcess], prefix: str) -> None:
    """Killed and started again in the middle: what was accepted is carried out by the same workers."""
    server = private_server(aof=True)
    deployment = Deployment(server.url, prefix)
    settings = deployment.settings(redis={"retry_delay_ms": 10})
    accepted = []
    async with (
        await riptide.aconnect(config=settings) as rt,
        running_worker(settings),
        running_worker(settings),
    ):
        for _ in range(3):
            outgoing = [riptide.Outgoing(Bulk(into=prefix), tenant=f"t{n}") for n in range(500)]
            accepted += await rt.publish_many(outgoing)
            accepted += await rt.publish_many([riptide.Outgoing(Effect(into=prefix, seconds=0.02))] * 30)
            server.kill()
            server.start()

        async def all_done() -> bool:
            return await asyncio.to_thread(deployment.at_rest, "bulk", "effect")

        await aeventually(all_done, "all to end")
    assert len(deployment.done(prefix)) == len(accepted)
    deployment.close()


async def test_a_server_that_does_not_answer_for_a_while(
    private_server: Callable[..., ServerProcess], prefix: str
) -> None:
    """Longer than a lease: nobody may be declared dead by those who were silent themselves."""
    server = private_server(aof=False)
    deployment = Deployment(server.url, prefix)
    settings = deployment.settings(**SHORT)
    async with (
        await riptide.aconnect(config=settings) as rt,
        running_worker(settings) as first,
        running_worker(settings) as second,
    ):
        names = {first.name, second.name}
        ref = await rt.publish(Effect(into=prefix, seconds=3))
        await asyncio.to_thread(eventually, lambda: deployment.starts(prefix), "the start")
        server.pause()
        await asyncio.sleep(2)  # the outage itself: two leases
        server.resume()
        assert (await rt.wait(ref, PATIENCE)).state == "done"
        assert {first.name, second.name} == names, "nobody was taken over"
    assert len(deployment.starts(prefix)) == 1
    deployment.close()


def test_sigint_stops_like_sigterm(alone: Deployment, tmp_path: Path) -> None:
    with WorkerProcess(alone, tmp_path) as worker:
        os.kill(worker.pid, signal.SIGINT)
        assert worker.wait() == 0
        assert alone.members() == []


async def test_a_server_that_refuses_writes_for_a_while(
    private_server: Callable[..., ServerProcess], prefix: str
) -> None:
    """As one does whose disk is full, or that lost its replicas: what was done is settled later."""
    deployment = Deployment(private_server(aof=False).url, prefix)
    settings = deployment.settings()
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings) as worker:
        name = worker.name
        refs = [await rt.publish(Noop(n=n), tenant=f"t{n}") for n in range(50)]
        slow = await rt.publish(Effect(into=prefix, seconds=0.3))
        await asyncio.to_thread(eventually, lambda: deployment.starts(prefix), "the start")
        deployment.client.config_set("min-replicas-to-write", 1)
        await asyncio.sleep(1)  # the outage itself
        deployment.client.config_set("min-replicas-to-write", 0)
        assert {(await rt.wait(ref, PATIENCE)).state for ref in [*refs, slow]} == {"done"}

        async def quiet() -> bool:
            return await asyncio.to_thread(deployment.at_rest, "noop", "effect")

        await aeventually(quiet, "all to be settled")
        assert (await rt.wait(await rt.publish(Effect(into=prefix)), PATIENCE)).state == "done"
        assert worker.name == name
    deployment.close()
