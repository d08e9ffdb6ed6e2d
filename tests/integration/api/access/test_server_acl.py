"""The server's own users, by config/acl: each can do its part, and nothing else."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

import riptide
from commands import Checkpoint, Invalidate, PurgeTenant, RecordAccess, RecordUsage, Restore, Spill, Warm
from riptide.api.access.access import SyncAccess
from riptide.config import Settings
from riptide.errors import ServerRefused
from riptide.reads.sync_client import RipTide
from riptide.state.checkpoints.shelf import Shelf
from riptide.store.keys import PARTITIONS
from tests.servers import ServerProcess
from tests.support.acl import ROLES, setuser, url_of
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE
from tests.support.workers import ROOT, WorkerProcess
from workers import HANDLERS

USAGE = RecordUsage(operation="render")


@dataclass(frozen=True)
class As:
    """One user of the server: RipTide's face, a plain client, and what all know."""

    rt: RipTide
    client: Any
    deployment: Deployment
    key: str
    settings: Settings

    def bare(self, *words: str | int) -> Any:
        return self.client.execute_command(*words)

    def stream(self, kind: str) -> str:
        return self.deployment.keys.commands(kind, PARTITIONS[0])


@pytest.fixture(params=["valkey", "redis7"])
def users(
    request: pytest.FixtureRequest, private_server: Callable[..., ServerProcess], prefix: str, tmp_path: Any
) -> Iterator[dict[str, As]]:
    server = private_server(request.param, aof=False)
    deployment = Deployment(server.url, prefix)
    sections: dict[str, Any] = {"tenant": {"enabled": True}, "blobs": {"url": str(tmp_path / "blobs")}}
    with ExitStack() as stack:
        stack.callback(deployment.close)
        root = stack.enter_context(riptide.connect(config=deployment.settings(**sections)))
        root.tenants.create("acme")
        root.cache.set("k", 1, tenant="acme")
        key = SyncAccess(root).create("shop", role="tenant", tenant="acme").text
        root.publish(USAGE, tenant="acme")
        found = {}
        for role in ROLES:
            deployment.client.execute_command(*setuser(role, prefix))
            url = url_of(role, server.url)
            client = stack.enter_context(redis.Redis.from_url(url))
            settings = Deployment(url, prefix).settings(**sections)
            rt = stack.enter_context(riptide.connect(config=settings))
            found[role] = As(rt, client, deployment, key, settings)
        yield found


def _verify(one: As) -> None:
    assert SyncAccess(one.rt).identify(f"Bearer {one.key}", None).tenant == "acme"


def _session(one: As) -> None:
    made = one.rt.sessions.create("ada", tenant="acme")
    one.rt.sessions.update(made.id, {"page": 1}, tenant="acme")
    assert one.rt.sessions.touch(made.id, tenant="acme")
    assert one.rt.sessions.terminate(made.id, tenant="acme")


def _published(command: Any) -> Callable[[As], Any]:
    def publish(one: As) -> None:
        one.rt.publish_many([riptide.Outgoing(command, "acme")] * 3)
        ref = one.rt.publish(command, tenant="acme", key=one.settings.redis.url.get_secret_value())
        assert one.rt.status(ref).state == "queued"

    return publish


#: What is tried, and who can. Nobody else.
DEEDS: dict[str, tuple[Callable[[As], Any], set[str]]] = {
    "cache.get": (
        lambda one: one.rt.cache.get("k", tenant="acme"),
        {"reader", "service", "worker", "operator"},
    ),
    "cache.get_many": (
        lambda one: one.rt.cache.get_many(["k", "l"], tenant="acme"),
        {"reader", "service", "worker", "operator"},
    ),
    "quotas.check": (
        lambda one: one.rt.quotas.check("acme", {"operations_per_minute": 1, "data_transfer_bytes": 5}),
        {"reader", "service", "worker", "operator"},
    ),
    "quotas.lease": (
        lambda one: one.rt.quotas.lease("acme").take(),
        {"reader", "service", "worker", "operator"},
    ),
    "quotas.show": (lambda one: one.rt.quotas.show("acme"), {"service", "worker", "operator"}),
    "tenants.show": (lambda one: one.rt.tenants.show("acme"), {"reader", "service", "worker", "operator"}),
    "tenants.list": (lambda one: one.rt.tenants.list(), {"reader", "service", "worker", "operator"}),
    "an API key": (_verify, {"reader", "service", "worker", "operator"}),
    "record_usage": (_published(USAGE), {"producer", "service", "worker", "operator"}),
    "warm": (_published(Warm(keys=["https://x.example/"])), {"producer", "service", "worker", "operator"}),
    "invalidate": (_published(Invalidate(keys=["k"])), {"producer", "service", "worker", "operator"}),
    "a bare record_usage": (
        lambda one: one.bare("XADD", one.stream("record_usage"), "*", "tenant", "acme", "body", "{}"),
        {"producer", "service", "worker", "operator"},
    ),
    "a bare restore": (
        lambda one: one.bare("XADD", one.stream("restore"), "*", "body", "{}"),
        {"worker", "operator"},
    ),
    "purge_tenant": (
        _published(PurgeTenant(incarnation="0" * 16)),
        {"worker", "operator"},
    ),
    "cache.set": (lambda one: one.rt.cache.set("k", 2, tenant="acme"), {"service", "worker", "operator"}),
    "cache.get_or_load": (
        lambda one: one.rt.cache.get_or_load("new", int, refresh=True, tenant="acme", tags=["t"]),
        {"service", "worker", "operator"},
    ),
    "cache.delete": (lambda one: one.rt.cache.delete("l", tenant="acme"), {"service", "worker", "operator"}),
    "cache.invalidate": (
        lambda one: one.rt.cache.invalidate(tags=["t"], tenant="acme"),
        {"service", "worker", "operator"},
    ),
    "cache.invalidate_namespace": (
        lambda one: one.rt.cache.invalidate_namespace("pages", tenant="acme"),
        {"service", "worker", "operator"},
    ),
    "a session's life": (_session, {"service", "worker", "operator"}),
    "tenants.update": (lambda one: one.rt.tenants.update("acme", name="Acme"), {"worker", "operator"}),
    "a key for oneself": (
        lambda one: SyncAccess(one.rt).create("x", role="admin"),
        {"worker", "operator"},
    ),
    "a forged key": (
        lambda one: one.bare("HSET", one.deployment.keys.api_key(None, "0" * 12), "role", "admin"),
        {"worker", "operator"},
    ),
    "a raised limit": (
        lambda one: one.bare("HSET", one.deployment.keys.record("acme"), "limit:memory_bytes", -1),
        {"worker", "operator"},
    ),
    "a forged script": (
        lambda one: one.bare(
            "EVAL",
            "return redis.call('HSET', KEYS[1], 'plan', 'free')",
            1,
            one.deployment.keys.record("acme"),
        ),
        {"worker", "operator"},
    ),
    "a quota forgotten": (
        lambda one: one.bare("DEL", one.deployment.keys.quota("acme", "operations_per_minute")),
        {"worker", "operator"},
    ),
    "commands removed": (
        lambda one: one.bare("XTRIM", one.stream("warm"), "MAXLEN", 1000),
        {"worker", "operator"},
    ),
    "what others published": (
        lambda one: one.bare("XRANGE", one.stream("record_usage"), "-", "+"),
        {"producer", "service", "worker", "operator"},
    ),
    "a checkpoint": (lambda one: Shelf(one.settings).create(), {"worker", "operator"}),
    "workers": (lambda one: (one.rt.workers(), one.rt.paused()), {"reader", "service", "worker", "operator"}),
    "pause": (lambda one: one.rt.pause("warm"), {"worker", "operator"}),
    "commands taken": (
        lambda one: one.bare("XREADGROUP", "GROUP", "none", "x", "STREAMS", one.stream("record_usage"), ">"),
        {"worker"},
    ),
    "CONFIG GET": (lambda one: one.bare("CONFIG", "GET", "maxmemory"), {"operator"}),
    "another deployment": (lambda one: one.bare("GET", "other:tenant:{acme}:x"), set()),
    "FLUSHALL": (lambda one: one.bare("FLUSHALL"), set()),
    "KEYS": (lambda one: one.bare("KEYS", "*"), set()),
    "CONFIG SET": (lambda one: one.bare("CONFIG", "SET", "maxmemory", "0"), set()),
    "ACL SETUSER": (lambda one: one.bare("ACL", "SETUSER", "riptide-reader", "+@all"), set()),
    "ACL LIST": (lambda one: one.bare("ACL", "LIST"), set()),
    "CLIENT KILL": (lambda one: one.bare("CLIENT", "KILL", "TYPE", "normal"), set()),
    "SCAN": (lambda one: one.bare("SCAN", 0), {"worker", "operator"}),
    "MONITOR": (lambda one: one.bare("MONITOR"), set()),
    "SHUTDOWN": (lambda one: one.bare("SHUTDOWN", "NOSAVE"), set()),
    "REPLICAOF": (lambda one: one.bare("REPLICAOF", "127.0.0.1", "1"), set()),
    "SCRIPT FLUSH": (lambda one: one.bare("SCRIPT", "FLUSH"), set()),
    "FUNCTION FLUSH": (lambda one: one.bare("FUNCTION", "FLUSH"), set()),
    "PUBLISH": (lambda one: one.bare("PUBLISH", "x", "y"), set()),
}


def _allowed(deed: Callable[[As], Any], one: As) -> bool:
    try:
        deed(one)
    except (redis.ResponseError, ServerRefused) as error:
        if any(word in str(error) for word in ("NOPERM", "permission", "executing the script can't")):
            return False
        if "NOGROUP" not in str(error):
            raise
    return True


def test_each_can_do_its_part_and_nothing_else(users: dict[str, As]) -> None:
    found = {
        name: {role for role, one in users.items() if _allowed(deed, one)}
        for name, (deed, _) in DEEDS.items()
    }
    assert found == {name: allowed for name, (_, allowed) in DEEDS.items()}


def test_a_quota_that_suspends(users: dict[str, As]) -> None:
    """Readers may be allowed that, too, by what the docs say."""
    one = users["reader"]
    docs = (ROOT / "docs/server-acl.md").read_text("utf-8")
    (rules,) = re.findall(r"`(\(\+hset [^`]*\))`", docs)
    more = re.sub("riptide", one.deployment.prefix, rules).split()
    settings = one.deployment.settings(
        tenant={"enabled": True, "suspend_after_refusals": 1, "default_ops_quota": 1},
        redis={"url": one.settings.redis.url},
    )

    def refused() -> bool:
        with riptide.connect(config=settings) as rt:
            return not rt.quotas.check("acme", {"operations_per_minute": 10**6}).allowed

    with pytest.raises(ServerRefused):
        refused()
    one.deployment.client.execute_command("ACL", "SETUSER", "riptide-reader", *more)
    assert refused()
    assert one.rt.tenants.show("acme").status == "suspended"


def test_a_worker_carries_out_what_the_others_publish(users: dict[str, As], tmp_path: Path) -> None:
    """Every command that there is, from a producer and an operator, to a restore and a purge."""
    worker, producer, operator = (users[role].rt for role in ("worker", "producer", "operator"))
    incarnation = operator.tenants.show("acme").incarnation
    made = Shelf(users["operator"].settings).create()
    url = users["worker"].settings.redis.url.get_secret_value()
    sections: dict[str, Any] = {"tenant": {"enabled": True}, "blobs": {"url": str(tmp_path / "blobs")}}
    place = users["worker"].deployment
    with WorkerProcess(place, tmp_path, commands=tuple(HANDLERS), url=url, **sections):
        for rt, commands in (
            (producer, (USAGE, Invalidate(keys=["k"]), RecordAccess(hits=1, keys={}, load_us={}))),
            (operator, (Checkpoint(), Spill(), Restore(checkpoint=made.id))),
            (operator, (PurgeTenant(incarnation=incarnation),)),
        ):
            refs = [
                rt.publish(command, tenant="acme" if command.tenant_required else None)
                for command in commands
            ]
            ended = {str(ref): rt.wait(ref, PATIENCE).state for ref in refs}
            assert set(ended.values()) == {"done"}, ended
    assert worker.tenants.list().tenants[0].id == "default"
    left = [name for name in place.client.scan_iter(f"{place.prefix}:*") if b"acme" in name]
    assert left == [], "the tenant's API keys went with it"
    refused = {one["object"] for one in place.client.acl_log()}
    assert refused <= {"client|setinfo"}, "which Redis 7.0 does not know, so that no template can name it"
