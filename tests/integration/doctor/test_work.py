"""Checks of streams and workers: each condition is made, seen, and gone after what the doctor said to do."""

import asyncio
import json
import time
from typing import Any

import pytest

import riptide
from riptide.store.keys import GROUP, PARTITIONS
from riptide.store.sync import Store, open_store
from riptide.streams import housekeeping
from riptide.streams.members import Members, introduce
from tests.integration.doctor.conftest import Practice
from tests.support.commands import Effect
from tests.support.deployment import TYPES
from tests.support.waiting import aeventually
from tests.support.workers import running_worker

FIRST = PARTITIONS[0]
HOUR_MS = 3_600_000


@pytest.fixture
def store(doctor: Practice) -> Any:
    found = open_store(doctor.loaded().settings)
    yield found
    found.close()


def beat(doctor: Practice, store: Store, name: str = "here.1.0", **facts: Any) -> None:
    about = json.loads(introduce("worker", dict.fromkeys(TYPES, 1), 0, **facts.pop("introduced", {})))
    store.run(Members(doctor.deployment.keys).beat(name, 600_000, json.dumps(about | facts)))


async def well(doctor: Practice, name: str, **sections: Any) -> None:
    async def look() -> bool:
        return await asyncio.to_thread(doctor.level, name, **sections) == "ok"

    await aeventually(look, f"{name} to be well")


async def test_what_nobody_serves_and_a_group_that_was_lost(doctor: Practice) -> None:
    deployment = doctor.deployment
    assert "no worker runs" in doctor.said("work.unread")
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        ref = await rt.publish(Effect(into=deployment.prefix))
        said = doctor.said("work.unread")
        assert "fail: nobody serves effect, and 1 wait -> riptide worker --commands effect" in said
        assert doctor.level("work.groups") == "ok", "no worker has ever been here"
        async with running_worker(deployment.settings()):
            await rt.wait(ref, 60)
            assert "nobody serves effect" not in doctor.said("work.unread")
            key = deployment.keys.commands("effect", ref.partition)
            positions = deployment.keys.positions(ref.partition)

            async def saved() -> bool:
                return bool(deployment.client.hexists(positions, "effect"))

            await aeventually(saved, "its position")
        deployment.client.xgroup_destroy(key, GROUP)
        assert f"group workers is lost: effect {{{ref.partition}}}" in doctor.said("work.groups")
        async with running_worker(deployment.settings()):
            await well(doctor, "work.groups")
        deployment.client.xgroup_setid(key, GROUP, "99999999999999-0")
        assert "stands beyond the newest entry" in doctor.said("work.groups")
        deployment.client.xgroup_setid(key, GROUP, "0")
        assert "warn: group workers was set back" in doctor.said("work.groups")


async def test_what_a_dead_worker_left_behind(doctor: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = doctor.deployment
    client, keys = deployment.client, deployment.keys
    entry = deployment.add("noop", {"id": "1"})
    key = keys.commands("noop", FIRST)
    client.xgroup_create(key, GROUP, "0")
    client.xreadgroup(GROUP, "ghost.1.0", {key: ">"})
    client.xclaim(key, GROUP, "ghost.1.0", 0, [entry], idle=HOUR_MS, justid=True)
    client.set(keys.fence(FIRST, "shade.1.0"), 1)
    said = doctor.said("work.stuck")
    assert "warn: 1 entries are held by ghost.1.0, which is gone, for 60 min -> riptide worker" in said
    leaked = doctor.said("workers.leaked")
    assert "consumers of no living worker: ghost.1.0" in leaked
    assert "fences of 1 workers that are gone: shade.1.0" in leaked
    monkeypatch.setattr(housekeeping, "_SWEEP_SECONDS", 0.05)
    async with running_worker(deployment.settings()):
        await well(doctor, "work.stuck")
        client.delete(keys.fence(FIRST, "shade.1.0"))
        await well(doctor, "workers.leaked")


def test_a_worker_that_hangs(doctor: Practice, store: Store) -> None:
    client, key = doctor.deployment.client, doctor.deployment.keys.commands("noop", FIRST)
    entry = doctor.deployment.add("noop", {"id": "1"})
    client.xgroup_create(key, GROUP, "0")
    client.xreadgroup(GROUP, "here.1.0", {key: ">"})
    client.xclaim(key, GROUP, "here.1.0", 0, [entry], idle=2 * HOUR_MS, justid=True)
    beat(doctor, store)
    workers: dict[str, Any] = {"workers": {"lease_seconds": 600}}
    assert f"here.1.0 works on noop.{FIRST}.{entry} for 2 h, start 1" in doctor.said("work.stuck", **workers)
    long: dict[str, Any] = {"workers": {"lease_seconds": 600, "handler_timeouts": {"noop": 86400}}}
    assert doctor.level("work.stuck", **long) == "ok"


def test_backlogs_dead_letters_late_retries_and_pauses(doctor: Practice) -> None:
    deployment = doctor.deployment
    client, keys = deployment.client, deployment.keys
    for _ in range(4):
        deployment.add("noop", {"id": "1"})
    assert doctor.level("work.backlog") == "ok"
    assert "warn: 4 of 5 noop wait in a partition" in doctor.said("work.backlog", streams={"max_backlog": 5})
    assert "fail: publishing of noop is refused" in doctor.said("work.backlog", streams={"max_backlog": 4})

    client.xadd(keys.dead("noop", FIRST), {"reason": "old"}, id="1000-0")
    client.xadd(keys.dead("noop", FIRST), {"reason": "new"})
    assert "2 dead letters of noop, 1 of them within the last hour" in doctor.said("work.dead")
    client.delete(keys.dead("noop", FIRST))
    assert doctor.level("work.dead") == "ok"

    retry = keys.retry("noop", FIRST)
    client.zadd(retry, {"1-0": time.time() * 1000, "2-0": float("inf")})
    assert doctor.level("work.retries") == "ok", "it is due only now, the other is back"
    client.zadd(retry, {"1-0": time.time() * 1000 - HOUR_MS})
    assert "1 retries and delayed commands of noop are due" in doctor.said("work.retries")
    client.delete(retry)
    assert doctor.level("work.retries") == "ok"

    with riptide.connect(config=deployment.settings()) as rt:
        rt.pause("noop", "broken")
        assert ": broken -> riptide resume noop" in doctor.said("work.paused")
        rt.resume("noop")
    assert doctor.level("work.paused") == "ok"


def test_a_group_of_ones_own(doctor: Practice) -> None:
    sections: dict[str, Any] = {"streams": {"groups": {"noop": ["audit"]}, "replay_window_seconds": 0.001}}
    entry = doctor.deployment.add("noop", {"id": "1"})
    client, key = doctor.deployment.client, doctor.deployment.keys.commands("noop", FIRST)
    client.xgroup_create(key, GROUP, "0")
    client.xgroup_setid(key, GROUP, entry)
    assert "group audit does not exist: noop" in doctor.said("work.groups", **sections)
    assert "noop is kept beyond its replay window for the group audit" in doctor.said(
        "work.pinned", **sections
    )
    client.xgroup_create(key, "audit", entry)
    assert doctor.level("work.groups", **sections) == "ok"
    assert doctor.level("work.pinned", **sections) == "ok"


def test_a_schedule_that_was_left_out(doctor: Practice) -> None:
    key, client = doctor.deployment.keys.control("schedules"), doctor.deployment.client
    sections: dict[str, Any] = {"state": {"checkpoint_interval_seconds": 300}}
    assert doctor.level("work.schedules", **sections) == "ok", "no worker has met it"
    client.hset(key, "checkpoint", f"{round(time.time() * 1000) - HOUR_MS} ref")
    said = doctor.said("work.schedules", **sections)
    assert "checkpoint was due at" in said
    assert "riptide schedule run checkpoint" in said
    client.hset(key, "checkpoint", f"{round(time.time() * 1000)} ref")
    assert doctor.level("work.schedules", **sections) == "ok"


def test_workers_that_are_silent_quiet_or_of_another_release(doctor: Practice, store: Store) -> None:
    sections: dict[str, Any] = {"workers": {"lease_seconds": 600}}
    beat(doctor, store)
    assert doctor.level("workers.alive", **sections) == "ok"
    beat(doctor, store, "old.1.0", version="0.0.1")
    assert "different releases: 0.0.1" in doctor.said("workers.alive", **sections)
    with riptide.connect(config=doctor.deployment.settings()) as rt:
        rt.quiet("here.1.0")
        assert "here.1.0 is quiet" in doctor.said("workers.alive", **sections)
        rt.end_quiet("here.1.0")
    members = doctor.deployment.keys.control("members")
    doctor.deployment.client.zadd(members, {"old.1.0": 1000})
    said = doctor.said("workers.alive", **sections)
    assert "old.1.0 is silent" in said
    assert "releases" not in said
    store.run(Members(doctor.deployment.keys).forget(["old.1.0"]))
    assert doctor.level("workers.alive", **sections) == "ok"

    assert doctor.level("state.shared", **sections) == "ok"
    beat(doctor, store, "there.1.0", host="there")
    assert "2 hosts" in doctor.said("state.shared", **sections)
    assert doctor.level("state.shared", blobs={"url": "s3://bucket"}, **sections) == "ok"
