"""Checks of the server: each condition is made, seen, and gone after what the doctor said to do."""

import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from riptide.doctor import examining, keeping
from riptide.doctor.examining import CHECKS, Result, examine
from riptide.doctor.finding import Check, Level
from riptide.doctor.keeping import judge_persistence
from riptide.doctor.server import judge_version
from riptide.store.keys import PARTITIONS
from riptide.store.sync import open_store
from riptide.streams.members import Members, introduce
from tests.integration.doctor.conftest import Practice
from tests.servers import Cluster, ServerProcess
from tests.support.deployment import Deployment
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("name", "version", "levels"),
    [
        ("Redis", "6.2.14", ["fail"]),
        ("Redis", "7.0.15", []),
        ("Redis", "7.2.4", ["warn"]),
        ("Redis", "8.2.1", ["warn"]),
        ("Redis", "8.2.3", []),
        ("Redis", "9.0.0", []),
        ("Valkey", "7.2.11", ["fail"]),
        ("Valkey", "8.1.3", ["warn"]),
        ("Valkey", "8.1.4", []),
        ("Valkey", "9.0.1", []),
        ("DragonflyDB", "df-v1.30", ["warn"]),
    ],
)
def test_versions(name: str, version: str, levels: list[str]) -> None:
    assert [finding.level for finding in judge_version(name, version)] == levels


def test_each_kind_of_server_is_supported(deployment: Deployment, tmp_path: Path) -> None:
    practice = Practice(deployment, tmp_path)
    for check in ("server.reachable", "server.version", "server.eviction", "server.memory", "server.rights"):
        assert practice.level(check) == "ok", practice.said(check)
    assert practice.level("cluster.slots") == ("ok" if deployment.cluster else "skipped")


def test_what_an_operator_has_set_wrong(doctor_alone: Practice) -> None:
    doctor, client = doctor_alone, doctor_alone.deployment.client
    assert "writes nothing to disk" in doctor.said("server.persistence")
    client.config_set("save", "3600 1")
    assert "fail" not in doctor.said("server.persistence")
    assert "AOF is off" in doctor.said("server.persistence")
    client.config_set("appendonly", "yes")
    client.config_set("appendfsync", "no")
    assert "appendfsync" in doctor.said("server.persistence")
    client.config_set("appendfsync", "everysec")
    assert doctor.level("server.persistence") == "ok"

    client.config_set("maxmemory-policy", "allkeys-lru")
    assert doctor.level("server.eviction") == "warn", "nothing is evicted yet"
    used = int(client.info("memory")["used_memory"])
    client.config_set("maxmemory", used * 10 // 8)
    assert doctor.level("server.eviction") == "fail"
    client.config_set("maxmemory-policy", "noeviction")
    assert doctor.level("server.eviction") == "ok"

    client.config_set("maxmemory", used * 100 // 88)
    assert doctor.level("server.memory") == "warn"
    client.config_set("maxmemory", used)
    assert doctor.level("server.memory") == "fail"
    # Also then it can look at everything.
    assert "cannot be looked at" not in doctor.said("workers.leaked") + doctor.said("work.groups")
    client.config_set("maxmemory", used * 10)
    assert doctor.level("server.memory") == "ok"


@pytest.mark.parametrize(
    ("info", "seen"),
    [
        ({"aof_last_write_status": "err"}, "write to the AOF failed"),
        ({"aof_last_bgrewrite_status": "err"}, "rewrite of its AOF failed"),
        ({"rdb_last_bgsave_status": "err"}, "snapshot failed"),
        ({"loading": "1"}, "loading"),
    ],
)
def test_a_disk_that_fails(info: dict[str, str], seen: str) -> None:
    (finding,) = judge_persistence("the server", {"aof_enabled": "1"} | info, {})
    assert seen in finding.seen


def test_clocks(doctor: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.level("server.clock") == "ok"
    for seconds, level in ((5, "warn"), (-100, "fail")):
        shifted = SimpleNamespace(time=lambda by=seconds: time.time() + by, monotonic=time.monotonic)
        with monkeypatch.context() as patch:
            patch.setattr(keeping, "time", shifted)
            assert doctor.level("server.clock") == level
    looks = itertools.count()
    slow = SimpleNamespace(time=lambda: time.time() + 8 * next(looks), monotonic=time.monotonic)
    with monkeypatch.context() as patch:
        patch.setattr(keeping, "time", slow)
        assert doctor.level("server.clock") == "ok", "an answer that takes long is none of a clock's"
    store = open_store(doctor.loaded().settings)
    about = introduce("worker", {}, round(time.time() * 1000) + 30_000)
    store.run(Members(doctor.deployment.keys).beat("far.1.0", 600_000, about))
    store.close()
    assert "is ahead, and the server's are" in doctor.said("server.clock")


def test_rights(doctor_alone: Practice) -> None:
    deployment = doctor_alone.deployment
    deployment.client.execute_command("ACL SETUSER poor on >pw ~* &* +@all -xadd -hset")
    deployment.client.execute_command("ACL SETUSER mute on >pw ~* &* +@all -acl")
    deployment.client.execute_command("ACL SETUSER narrow on >pw ~other:* &* +@all")
    url = deployment.url
    for user, level, part in (
        ("poor", "warn", "may not: HSET, XADD"),
        ("mute", "skipped", ""),
        ("narrow", "warn", "GET, MGET"),
    ):
        deployment.url = url.replace("//", f"//{user}:pw@")
        assert doctor_alone.level("server.rights") == level
        assert part in doctor_alone.said("server.rights")


def test_it_writes_nothing(doctor_alone: Practice) -> None:
    """Everything can be looked at by a user who may write nothing."""
    deployment = doctor_alone.deployment
    deployment.add("effect", {"id": "1"})
    before = sorted(deployment.client.keys())
    deployment.client.execute_command("ACL SETUSER reader on >pw ~* &* +@all -@write")
    deployment.url = deployment.url.replace("//", "//reader:pw@")
    loaded = doctor_alone.loaded(tenant={"enabled": True})
    results = list(examine(loaded, CHECKS, 60))
    for result in results:
        if result.check.name != "server.rights":
            assert not any("NOPERM" in finding.seen for finding in result.findings), result
    assert len(results) == len(CHECKS)
    assert sorted(deployment.client.keys()) == before


def test_a_cluster_with_a_hole(private_cluster: Callable[..., Cluster], tmp_path: Path, prefix: str) -> None:
    cluster = private_cluster()
    deployment = Deployment(cluster.url, prefix, cluster=True)
    practice = Practice(deployment, tmp_path)
    assert practice.level("cluster.slots") == "ok"
    owner, slot = cluster.owner(PARTITIONS[0]), key_slot(PARTITIONS[0].encode())

    def hole() -> str:
        """What is said of it; what the owner told the others a moment before may still reach one."""
        for node in [owner, *(node for node in cluster.nodes if node is not owner)]:  # others believe it
            with node.client() as client, suppress(redis.ResponseError):
                client.execute_command("CLUSTER DELSLOTS", slot)
        said = practice.said("cluster.slots")
        return said if "partitions lost" in said else ""

    said = eventually(hole, "the hole to be seen")
    assert said.startswith("fail")
    assert f"partitions lost: {PARTITIONS[0]}" in said
    with owner.client() as client:
        client.execute_command("CLUSTER ADDSLOTS", slot)
    cluster.wait_ready()
    assert practice.level("cluster.slots") == "ok"
    deployment.close()


def test_the_server_is_away(
    private_server: Callable[..., ServerProcess], tmp_path: Path, prefix: str
) -> None:
    process = private_server(aof=False)
    practice = Practice(Deployment(process.url, prefix), tmp_path)
    process.kill()
    levels = {result.check.name: result.level for result in examine(practice.loaded(), CHECKS, 60)}
    assert levels.pop("server.reachable") is Level.fail
    assert levels.pop("config.file") is Level.ok
    assert levels.pop("state.blobs") is Level.ok
    assert set(levels.values()) == {Level.skipped}
    assert "riptide redis" in practice.said("server.reachable")


def test_what_hangs_keeps_nothing_back(doctor: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "_CHECK_SECONDS", 0.05)
    hangs = Check("x", "", "", lambda _: time.sleep(60) or [], needs_server=False)  # type: ignore[func-returns-value]
    file: Any = next(check for check in CHECKS if check.name == "config.file")
    results: list[Result] = list(examine(doctor.loaded(), [hangs, file], 60))
    assert results[0].level is Level.warn
    assert "longer than" in results[0].findings[0].seen
    (late,) = examine(doctor.loaded(), [file], 0)
    assert late.level is Level.skipped
