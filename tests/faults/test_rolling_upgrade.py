"""Workers and producers of version N and N+1 side by side, with a changed body and a changed script."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment import STEADY, Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import ROOT, WorkerProcess, environment, write_config

pytestmark = [pytest.mark.faults, pytest.mark.slow]

_COPIED = ("commands", "riptide", "workers", "tests/__init__.py", "tests/support/__init__.py")
_MODULE = "tests/support/commands.py"

_UPCASTER = """def _to_2(body):
    rest = {name: value for name, value in body.items() if name != "seconds"}
    return rest | {"milliseconds": round(1000 * body.get("seconds", 0))}


"""
_BODY = """    version: ClassVar[int] = 2
    upcasters = {1: _to_2}
    into: str
    milliseconds: int = 0
"""
#: File -> what stands there, and what N+1 has in its place: `effect` has a new body, and `complete.lua` other
#: arguments.
_CHANGES = {
    _MODULE: [
        ("class Effect(Command):\n", _UPCASTER + "class Effect(Command):\n"),
        ("    into: str\n    seconds: float = 0\n", _BODY),
        ("command.seconds", "command.milliseconds / 1000"),
    ],
    "riptide/streams/lua/complete.lua": [
        ("-- ARGV: 1 group; 2.. entry ids", "-- ARGV: 1 how many ids; 2.. their entries; then the group"),
        (
            "return redis.call('XACK', KEYS[2], ARGV[1], unpack(ARGV, 2))",
            "return redis.call('XACK', KEYS[2], ARGV[#ARGV], unpack(ARGV, 2, 1 + ARGV[1]))",
        ),
    ],
    "riptide/streams/completion.py": [
        (
            "[GROUP, *ids[start : start + _IDS_PER_CALL]]",
            "[len(ids[start : start + _IDS_PER_CALL]), *ids[start : start + _IDS_PER_CALL], GROUP]",
        ),
    ],
}

_PRODUCER = """
import pathlib, sys, time, riptide
from tests.support.commands import Effect
into, version, stop = sys.argv[1:]
took = {"seconds": 0.005} if version == "1" else {"milliseconds": 5}
assert Effect.version == int(version)
with riptide.connect() as rt:
    while not pathlib.Path(stop).exists():
        rt.publish_many(riptide.Outgoing(Effect(into=into, **took), tenant=f"t{n}") for n in range(10))
        time.sleep(0.02)
"""


class Release:
    """A copy of the packages, and what runs from it."""

    def __init__(self, version: int, deployment: Deployment, directory: Path) -> None:
        self.version = version
        self._deployment = deployment
        self._directory = directory / f"release{version}"
        self._stop = directory / "stop"
        for name in (*_COPIED, _MODULE):
            target = self._directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, target)

    def change(self) -> None:
        for name, replaced in _CHANGES.items():
            path = self._directory / name
            text = path.read_text()
            for old, new in replaced:
                assert old in text, f"{name} no longer has {old!r}"
                text = text.replace(old, new)
            path.write_text(text)

    def worker(self) -> WorkerProcess:
        # Who is silent for a lease reads no newer bodies, as far as the others know.
        process = WorkerProcess(self._deployment, self._directory / "run", commands=["effect"], **STEADY)
        process._environment["PYTHONPATH"] = str(self._directory)
        process.start()
        newest = process.names[-1]  # on a busy machine it may have been taken over already
        about = self._deployment.client.hget(self._deployment.keys.control("members:about"), newest)
        assert json.loads(about)["versions"] == {"effect": self.version}
        return process

    def producer(self) -> "subprocess.Popen[bytes]":
        config = write_config(self._directory / "producer.yml")
        return subprocess.Popen(
            [sys.executable, "-c", _PRODUCER, self._deployment.prefix, str(self.version), str(self._stop)],
            env=environment(self._deployment, config) | {"PYTHONPATH": str(self._directory)},
            cwd=self._directory,
        )

    def stop_producers(self) -> None:
        self._stop.touch()


class Upgrade:
    def __init__(self, deployment: Deployment, directory: Path) -> None:
        self.old, self.new = Release(1, deployment, directory), Release(2, deployment, directory)
        self.new.change()
        self._deployment = deployment
        self.workers: list[WorkerProcess] = []
        self.producers: list[subprocess.Popen[bytes]] = []

    def start(self, release: Release) -> WorkerProcess:
        self.workers.append(release.worker())
        return self.workers[-1]

    def produce(self, release: Release) -> None:
        self.producers.append(release.producer())

    def wait_for_more(self, count: int = 100) -> None:
        """So many effects more than now."""
        before = len(self._deployment.done(self._deployment.prefix))
        eventually(lambda: len(self._deployment.done(self._deployment.prefix)) >= before + count, "effects")

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        for producer in self.producers:
            producer.kill()
            producer.wait(PATIENCE)


@pytest.fixture
def upgrade(on_valkey: Deployment, tmp_path: Path) -> Iterator[Upgrade]:
    made = Upgrade(on_valkey, tmp_path)
    yield made
    made.close()


def by_version(deployment: Deployment) -> Counter[bytes]:
    return Counter(fields[b"v"] for _, _, fields in deployment.entries("effect") if b"v" in fields)


def test_one_by_one_with_both_at_work(upgrade: Upgrade, on_valkey: Deployment) -> None:
    """Two old workers, then two new ones beside them, of which one is killed; then the old ones go."""
    old = [upgrade.start(upgrade.old) for _ in range(2)]
    upgrade.produce(upgrade.old)
    upgrade.wait_for_more()
    first, _ = [upgrade.start(upgrade.new) for _ in range(2)]
    upgrade.produce(upgrade.new)
    eventually(lambda: by_version(on_valkey)[b"2"] >= 50, "commands of the new version")
    eventually(
        lambda: any("version 2 is unknown here" in worker.log for worker in old), "an old worker to meet one"
    )
    first.kill()
    upgrade.wait_for_more()
    upgrade.start(upgrade.new)
    for worker in old:
        worker.terminate()
        assert worker.wait() == 0
        upgrade.wait_for_more()
    upgrade.old.stop_producers()
    for producer in upgrade.producers:
        assert producer.wait(PATIENCE) == 0
    eventually(lambda: on_valkey.at_rest("effect"), "all to end")

    published = on_valkey.published_ids(["effect"])
    assert set(by_version(on_valkey)) == {b"1", b"2"}
    assert on_valkey.letters("effect") == []
    assert on_valkey.done(on_valkey.prefix) == set(published)
    attempts = Counter(attempt for _, attempt, _ in on_valkey.starts(on_valkey.prefix))
    assert max(attempts) <= 2, "what came back uncounted started anew; what the killed one held, twice"


def test_without_a_worker_that_reads_it_a_newer_body_is_a_dead_letter(
    upgrade: Upgrade, on_valkey: Deployment
) -> None:
    upgrade.start(upgrade.old)
    body: Any = json.dumps({"into": on_valkey.prefix, "milliseconds": 1})
    on_valkey.add("effect", {"v": 2, "body": body})
    (letter,) = eventually(lambda: on_valkey.letters("effect"), "the dead letter")
    assert letter[b"reason"] == b"unknown-version"
    assert b"known are 1 to 1" in letter[b"error"]
