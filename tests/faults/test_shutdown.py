"""SIGTERM in the middle of everything: exit code 0 in time, and nothing of what was accepted is gone."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import riptide
from tests.servers import ServerProcess
from tests.support.commands import Effect
from tests.support.deployment import STEADY, Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import ROOT, WorkerProcess, environment, write_config

pytestmark = [pytest.mark.faults, pytest.mark.slow]

#: Buffered writes leave only at the end.
LATER = {"write_behind_flush_seconds": 3600, "write_behind_max_entries": 100_000}


def test_a_pool_under_full_load_with_retries_and_buffered_writes(alone: Deployment, tmp_path: Path) -> None:
    """What handlers had buffered is written when the process has ended, and what they did is counted."""
    into, over = alone.prefix, threading.Event()
    refs: list[riptide.Ref] = []
    with riptide.connect(config=alone.settings()) as rt:

        def publish() -> None:
            number = 0
            while not over.is_set():
                number += 1
                command = Effect(
                    into=into,
                    how="behind",
                    seconds=0.05 * (number % 3),
                    end="retry" if number % 4 == 0 else "",
                    retry_seconds=0.2,
                    until_attempt=2,
                )
                eventually(
                    lambda: over.is_set() or len(refs) - len(alone.done(into)) < 600, "some to be done"
                )
                refs.extend(rt.publish_many([riptide.Outgoing(command, tenant=f"t{n}") for n in range(20)]))

        publisher = threading.Thread(target=publish)
        pool = [
            WorkerProcess(alone, tmp_path / str(n), commands=["effect"], cache=LATER, **STEADY)
            for n in range(3)
        ]
        try:
            for worker in pool:
                worker.start()
            publisher.start()
            eventually(lambda: len(alone.done(into)) > 300, "full load")
            for worker in pool:
                worker.terminate()
            assert [worker.wait() for worker in pool] == [0, 0, 0]
        finally:
            over.set()
            publisher.join()
            for worker in pool:
                worker.kill()
        assert alone.pending("effect") == {}
        assert alone.members() == []
        done = alone.done(into)
        assert len(done) < len(refs), "it was not idle"
        assert set(rt.cache.get_many(done)) == done, "what was buffered is there"
        with WorkerProcess(
            alone, tmp_path / "last", commands=["effect", "record_access"], concurrency=100, cache=LATER
        ) as last:
            eventually(lambda: alone.at_rest("effect"), "the rest to be done")
            last.terminate()
            assert last.wait() == 0
        assert len(alone.done(into)) == len(refs)
        assert alone.letters("effect") == []
        with WorkerProcess(alone, tmp_path / "counts", commands=["record_access"]):
            eventually(lambda: alone.at_rest("record_access"), "what was done to be counted")
            eventually(lambda: rt.cache.statistics().totals.sets == len(refs), "each write to be counted")


CLIENTS = {
    "sync": """
import signal, sys, time
import riptide
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with riptide.connect() as rt:
    for n in range(500):
        rt.cache.write_behind(f"k{n}", n)
    print("ready", flush=True)
    time.sleep(600)
""",
    "async": """
import asyncio, signal
import riptide
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await riptide.aconnect() as rt:
        for n in range(500):
            await rt.cache.write_behind(f"k{n}", n)
        print("ready", flush=True)
        await stop.wait()
asyncio.run(main())
""",
}


@pytest.mark.parametrize("face", CLIENTS)
def test_a_service_sends_what_it_has_buffered(alone: Deployment, tmp_path: Path, face: str) -> None:
    config = write_config(tmp_path / "riptide.yml", cache=LATER)
    service = subprocess.Popen(
        [sys.executable, "-c", CLIENTS[face]],
        env=environment(alone, config),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with service, riptide.connect(config=alone.settings()) as rt:
        try:
            assert service.stdout is not None
            assert service.stdout.readline() == "ready\n"
            eventually(lambda: [m.role for m in rt.state.members()] == ["service"], "it to be listed")
            assert rt.cache.get_many(f"k{n}" for n in range(500)) == {}
            service.send_signal(signal.SIGTERM)
            assert service.wait(PATIENCE) == 0
        finally:
            service.kill()
        assert rt.cache.get_many(f"k{n}" for n in range(500)) == {f"k{n}": n for n in range(500)}
        assert rt.state.members() == []


def test_a_server_that_does_not_answer_cannot_keep_it(
    private_server: Callable[..., ServerProcess], prefix: str, tmp_path: Path
) -> None:
    """The worker ends by itself; what it held is taken over after the lease."""
    server = private_server(aof=False)
    deployment = Deployment(server.url, prefix)
    state = {"shutdown_timeout_seconds": 4}
    redis = {"command_timeout_ms": 1000, "connection_timeout_ms": 1000}
    with riptide.connect(config=deployment.settings()) as rt:
        ref = rt.publish(Effect(into=prefix, seconds=0.5))
        with WorkerProcess(deployment, tmp_path, state=state, redis=redis) as worker:
            eventually(lambda: deployment.starts(prefix), "the start")
            server.pause()
            worker.terminate()
            assert worker.wait() == 0
            server.resume()
            assert "Traceback" not in worker.log
        with WorkerProcess(deployment, tmp_path):
            assert rt.wait(ref, PATIENCE).state == "done"
    deployment.close()
