"""Whoever dies while creating or changing a tenant, and however many try at once: all agree on one record."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from riptide.config import Settings
from riptide.errors import ServerUnavailable, TenantExists, TooManyTenants, UnknownTenant
from riptide.reads.assembly import assemble
from riptide.reads.sync_tenants import Tenants
from riptide.store.operation import Flow
from riptide.store.sync import open_store
from riptide.tenants.registry import index, record
from tests.integration.tenants.conftest import Open
from tests.support.calls import CallProxy, When
from tests.support.deployment import Deployment
from tests.support.observer import Call
from tests.support.waiting import PATIENCE

SHARDS = 4
_CONTEXT = multiprocessing.get_context("forkserver")


@pytest.fixture
def stale_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called on, every reservation is stale."""
    return lambda: monkeypatch.setattr(index, "STALE_MS", 0)


def _is_ours(call: Call) -> bool:
    return call.name.endswith(".lua")


@dataclass
class Victim:
    """A client that dies at one of its calls."""

    deployment: Deployment
    calls: list[str]

    def run(self, action: Callable[[Tenants], Any], number: int, when: When) -> None:
        with CallProxy(self.deployment.url, _is_ours) as proxy:
            proxy.strike_at(number, when, lambda: None, last=True)
            parts = {"tenant": {"enabled": True}, "redis": {"retry_attempts": 0}}
            settings = Deployment(proxy.url, self.deployment.prefix).settings(**parts)
            store = open_store(settings)
            try:
                action(Tenants(store, assemble(None, settings).registry))
            except ServerUnavailable:
                assert proxy.struck.wait(PATIENCE)
            finally:
                store.close()
            self.calls = proxy.calls


def strikes(victim: Victim, action: Callable[[Tenants], Any], prepare: Callable[[], Any]) -> Iterator[str]:
    """Strike at each call of `action` in turn; `prepare` and what is done after each yield come around it."""
    prepare()
    victim.run(action, -1, "before")  # the server is taught the scripts
    prepare()
    victim.run(action, -1, "before")
    calls = victim.calls
    assert calls
    assert "?.lua" not in calls
    for number in range(len(calls)):
        for when in get_args(When):
            prepare()
            victim.run(action, number, when)
            yield f"{when} call {number}, {calls[number]}"


def _status(tenants: Tenants, tenant: str) -> str:
    try:
        return tenants.show(tenant).status
    except UnknownTenant:
        return "none"


def results(tenants: Tenants, tenant: str | None, operation: str, of: str) -> list[str]:
    found = tenants.audit(tenant, operation=operation, limit=10_000).records
    return [one.result for one in found if one.tenant_id == of]


def test_killed_at_any_call_of_a_creation_the_next_one_finishes_it(
    on_valkey: Deployment, open_tenants: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (f"t{n}" for n in range(1000))
    name = ""

    def prepare() -> None:
        nonlocal name
        name = next(names)

    heir = open_tenants(on_valkey)
    victim = Victim(on_valkey, [])
    for strike in strikes(victim, lambda t: t.create(name, plan="basic", shards=SHARDS), prepare):
        status = _status(heir, name)
        if status == "pending":
            with pytest.raises(TenantExists, match="just being created by somebody else"):
                heir.create(name)
        with monkeypatch.context() as patched:
            patched.setattr(index, "STALE_MS", 0)
            try:
                heir.create(name, plan="free", shards=SHARDS)
                assert status in {"none", "pending"}, strike
            except TenantExists:
                assert status == "active", strike
        found = heir.show(name)
        assert found.status == "active"
        assert found.plan == ("basic" if status == "active" else "free"), strike
        mirrors = [on_valkey.client.hgetall(on_valkey.keys.record(f"{name}.{n}")) for n in range(SHARDS)]
        assert {mirror[b"incarnation"].decode() for mirror in mirrors} == {found.incarnation}, strike
        assert on_valkey.client.hlen(on_valkey.keys.control("tenants:reserved")) == 0, strike
        assert results(heir, name, "create", name) == ["ok"], strike
        assert results(heir, None, "create", name).count("ok") == 1, strike
    assert len(heir.list(limit=1000).tenants) == len(victim.calls) * 3 + 3


def test_killed_at_any_call_of_a_change_it_is_made_good_by_doing_it_again(
    on_valkey: Deployment, open_tenants: Open
) -> None:
    tenants = open_tenants(on_valkey)
    numbers = iter(range(1000))
    name = ""

    def prepare() -> None:
        nonlocal name
        name = tenants.create(f"t{next(numbers)}", shards=SHARDS).id

    for strike in strikes(Victim(on_valkey, []), lambda t: t.delete(name, "why not"), prepare):
        ref = tenants.delete(name)
        found = tenants.show(name)
        assert found.status == "disabled", strike
        mirrors = [on_valkey.client.hgetall(on_valkey.keys.record(f"{name}.{n}")) for n in range(SHARDS)]
        assert {mirror[b"status"] for mirror in mirrors} == {b"disabled"}, strike
        assert {mirror[b"revision"] for mirror in mirrors} == {str(found.revision).encode()}
        purges = [
            entry
            for _, entry, fields in on_valkey.entries("purge_tenant")
            if fields[b"tenant"] == name.encode()
        ]
        assert purges == [ref.entry_id], strike
        assert results(tenants, name, "disable", name) == ["ok"], strike
        assert "ok" in results(tenants, None, "delete", name), strike


def test_a_lost_answer_is_asked_for_again_without_doing_it_twice(on_valkey: Deployment) -> None:
    """The store tries again by itself; the scripts know what they have done."""
    for number in range(3):
        with CallProxy(on_valkey.url, _is_ours) as proxy:
            proxy.strike_at(number, "after", lambda: None, last=False)
            settings = Deployment(proxy.url, on_valkey.prefix).settings(tenant={"enabled": True})
            store = open_store(settings)
            tenants = Tenants(store, assemble(None, settings).registry)
            made = tenants.create(f"t{number}")
            assert tenants.show(made.id).incarnation == made.incarnation
            assert results(tenants, made.id, "create", made.id) == ["ok"]
            proxy.struck.clear()
            proxy.strike_at(len(proxy.calls) + 1, "after", lambda: None, last=False)
            changed = tenants.update(made.id, name="x", revision=1)
            assert proxy.struck.wait(PATIENCE)
            assert changed.revision == made.revision + 1
            assert tenants.show(made.id) == changed
            assert results(tenants, made.id, "update", made.id) == ["ok"]
            store.close()


def stop_before(flow: Flow[Any], name: str, store: Any) -> Any:
    """Drive a flow until just before its first call of a script; answer that step."""
    return stop_before_again(flow, next(flow), name, store)


def stop_before_again(flow: Flow[Any], step: Any, name: str, store: Any) -> Any:
    """The same from its step `step` on, which is carried out."""
    while True:
        operations = getattr(step, "operations", None) or [step]
        if operations[0].script is not None and operations[0].script.name == name:
            return step
        step = flow.send(store._take(step))


def finish(flow: Flow[Any], step: Any, store: Any) -> None:
    """Drive a flow from its step `step` on to its end."""
    with contextlib.suppress(StopIteration):
        while True:
            step = flow.send(store._take(step))


def slow_creation(
    tenants: Tenants, name: str, script: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Flow[Any], Any]:
    """A creation whose time is over when it is about to call `script`, and that call."""
    with monkeypatch.context() as patched:
        patched.setattr(record, "WRITE_WITHIN_MS", -1 if script == "write_mirror.lua" else 60_000)
        flow = tenants._registry.create(name, plan="basic", quotas=None, shards=2, actor=None)
        step = stop_before(flow, "write_mirror.lua", tenants._store)
        if script == "write_record.lua":
            written = tenants._store._take(step)
            patched.setattr(record, "WRITE_WITHIN_MS", -1)
            step = flow.send(written)
    return flow, step


@pytest.mark.parametrize("script", ["write_mirror.lua", "write_record.lua"])
def test_a_slow_creator_writes_nothing_after_its_time(
    deployment: Deployment, open_tenants: Open, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """Its reservation has given way to another tenant; and another has taken the id over."""
    tenants = open_tenants(deployment, tenant={"max_tenants": 1})
    flow, step = slow_creation(tenants, "slow", script, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(index, "STALE_MS", 0)
        tenants.create("quick")
    with pytest.raises(ServerUnavailable, match="took too long, and it was given up: nothing was created"):
        finish(flow, step, tenants._store)
    with pytest.raises(UnknownTenant):
        tenants.show("slow")

    tenants = open_tenants(deployment)
    flow, step = slow_creation(tenants, "slow", script, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(index, "STALE_MS", 0)
        made = tenants.create("slow", shards=2)
    with pytest.raises((ServerUnavailable, TenantExists)):
        finish(flow, step, tenants._store)
    assert tenants.show("slow") == made
    mirrors = [deployment.client.hgetall(deployment.keys.record(f"slow.{n}")) for n in range(2)]
    assert {mirror[b"incarnation"].decode() for mirror in mirrors} == {made.incarnation}


def test_two_changes_at_once_lose_nothing_and_the_shards_keep_the_newer(
    deployment: Deployment, open_tenants: Open
) -> None:
    """The second one comes between the first one's reading and writing, or before its shards are told."""
    tenants = open_tenants(deployment)
    tenants.create("acme", shards=2, quotas={"memory_bytes": 10})
    store = tenants._store

    def first() -> Flow[Any]:
        return tenants._registry.update(
            "acme", plan=None, quotas={"cache_entries": 6}, revision=None, actor=None
        )

    flow = first()
    step = stop_before(flow, "change_record.lua", store)
    tenants.update("acme", quotas={"memory_bytes": 20})
    step = flow.send(store._take(step))  # reads again
    rest = stop_before_again(flow, step, "change_mirror.lua", store)
    newest = tenants.update("acme", quotas={"memory_bytes": 30})
    assert newest.limits["memory_bytes"] == 30
    assert newest.limits["cache_entries"] == 6
    finish(flow, rest, store)
    for shard in range(2):
        mirror = deployment.client.hgetall(deployment.keys.record(f"acme.{shard}"))
        assert (mirror[b"limit:memory_bytes"], mirror[b"limit:cache_entries"]) == (b"15", b"3")
        assert mirror[b"revision"] == str(newest.revision).encode()


def test_a_late_change_brings_no_shard_of_a_purged_tenant_back(
    deployment: Deployment, open_tenants: Open
) -> None:
    tenants = open_tenants(deployment)
    tenants.create("acme", shards=2)
    flow = tenants._registry.set_status("suspend", "acme", "", None)
    step = stop_before(flow, "change_mirror.lua", tenants._store)
    keys = [deployment.keys.record(tag) for tag in ("acme", "acme.0", "acme.1")]
    for key in keys:
        deployment.client.delete(key)
    assert tenants._store._take(step) == [False, False]
    assert not any(deployment.client.exists(key) for key in keys)
    deployment.client.hset(keys[1], mapping={"incarnation": "f" * 16, "status": "active", "revision": 1})
    assert tenants._store._take(step) == [False, False]
    assert deployment.client.hget(keys[1], "status") == b"active", "another tenant of that id"


def test_what_died_on_the_way_gives_way_when_there_is_no_room(
    on_valkey: Deployment, open_tenants: Open, stale_at_once: Callable[[], None]
) -> None:
    victim = Victim(on_valkey, [])
    victim.run(lambda t: t.create("warm"), -1, "before")
    victim.run(lambda t: t.create("unwritten"), 1, "before")
    victim.run(lambda t: t.create("unconfirmed"), 2, "before")
    tenants = open_tenants(on_valkey, tenant={"max_tenants": 3})
    listed = {one.id: one.status for one in tenants.list().tenants}
    assert listed == {"warm": "active", "unwritten": "pending", "unconfirmed": "active", "default": "active"}
    with pytest.raises(TooManyTenants):
        tenants.create("next")
    stale_at_once()
    tenants.create("next")
    assert [one.id for one in tenants.list().tenants] == ["default", "next", "unconfirmed", "warm"]
    assert on_valkey.client.hlen(on_valkey.keys.control("tenants:reserved")) == 0
    with pytest.raises(TooManyTenants):
        tenants.create("one-more")


def meet(settings: Settings, gate: str, processes: int) -> None:
    """Return when all processes are here."""
    client = Deployment(settings.redis.url.get_secret_value(), "").client
    client.incr(gate)
    while int(client.get(gate)) < processes:
        pass
    client.close()


def _create_all(
    settings: Settings, names: list[str], gate: str, processes: int
) -> tuple[list[str], set[str]]:
    """What one process got to create, and why not the others."""
    store = open_store(settings)
    tenants = Tenants(store, assemble(None, settings).registry)
    meet(settings, gate, processes)
    made, errors = [], set()
    for name in names:
        try:
            made.append(tenants.create(name).id)
        except (TenantExists, TooManyTenants) as error:
            errors.add(type(error).__name__)
    store.close()
    return made, errors


def test_two_processes_at_once_share_the_ids_and_the_room(on_valkey: Deployment, open_tenants: Open) -> None:
    names, most = [f"t{n}" for n in range(60)], 40
    settings = on_valkey.settings(tenant={"enabled": True, "max_tenants": most})
    with ProcessPoolExecutor(2, mp_context=_CONTEXT) as pool:
        asked = [pool.submit(_create_all, settings, names, f"{on_valkey.prefix}:gate", 2) for _ in range(2)]
        (first, why), (second, why_too) = (one.result() for one in asked)
    assert set(first) & set(second) == set(), "an id has one creator"
    assert len(first) + len(second) == most
    assert "TooManyTenants" in why & why_too
    tenants = open_tenants(on_valkey)
    listed = {one.id: one.status for one in tenants.list().tenants}
    assert listed == dict.fromkeys([*first, *second, "default"], "active")
    assert results(tenants, None, "create", first[0] if first else second[0]).count("ok") == 1


def _change_all(settings: Settings, count: int, field: str, gate: str) -> None:
    store = open_store(settings)
    tenants = Tenants(store, assemble(None, settings).registry)
    meet(settings, gate, 2)
    for number in range(count):
        tenants.update("acme", settings={f"{field}{number}": number})
    store.close()


def test_changes_of_several_processes_lose_nothing(on_valkey: Deployment, open_tenants: Open) -> None:
    tenants = open_tenants(on_valkey)
    tenants.create("acme", shards=2)
    settings = on_valkey.settings(tenant={"enabled": True})
    with ProcessPoolExecutor(2, mp_context=_CONTEXT) as pool:
        for asked in [
            pool.submit(_change_all, settings, 25, field, f"{on_valkey.prefix}:gate") for field in "ab"
        ]:
            asked.result()
    found = tenants.show("acme")
    assert dict(found.settings) == {f"{field}{n}": n for field in "ab" for n in range(25)}
    assert found.revision == 51
    assert len(results(tenants, "acme", "update", "acme")) == 50
    mirror = on_valkey.client.hgetall(on_valkey.keys.record("acme.1"))
    assert mirror[b"revision"] == b"51"
