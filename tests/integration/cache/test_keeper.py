"""Workers look after all accounts: what expired, what is garbage, and what all tenants together may hold."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import riptide
from riptide.cache.accounts.audit import differences
from riptide.cache.accounts.keeper import Keeper
from riptide.cli.worker import keeping_accounts
from riptide.config import Settings
from riptide.store.keys import Keys
from riptide.tenants.accounts.account import Account, Figures
from tests.support.deployment import Deployment
from tests.support.waiting import eventually

MIB = 1024**2
KIB = os.urandom(1024)


@contextmanager
def keeping(settings: Settings, name: str = "one") -> Iterator[Keeper]:
    keeper = Keeper(settings, name)
    keeper.start()
    yield keeper
    keeper.stop()
    keeper.join(60)
    assert not keeper.is_alive()


def held(rt: riptide.RipTide, *tags: str) -> list[Figures]:
    """The accounts as they stand, without settling them."""
    accounts = [Account(Keys(rt.settings.cache.key_prefix), tag) for tag in tags]
    found: list[Figures] = rt.store.run_all([account.held() for account in accounts])
    return found


def settings_of(deployment: Deployment, **sections: Any) -> Settings:
    sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
    return deployment.settings(**sections)


def test_all_tenants_together_stay_under_the_deployments_cap(deployment: Deployment) -> None:
    """Who holds least for what it may hold keeps all; the others come down to one level."""
    settings = settings_of(deployment, cache={"max_memory_bytes": 2 * MIB})
    with riptide.connect(config=settings) as rt:
        for tenant, count in (("small", 100), ("large", 1000), ("larger", 2000)):
            rt.tenants.create(tenant, quotas={"memory_bytes": 10 * MIB})
            rt.cache.set_many({f"{n}": KIB for n in range(count)}, tenant=tenant)
        rt.cache.set_many({f"{n}": KIB for n in range(100)})
        tags = ["small", "large", "larger", *(f"default.{n}" for n in range(16))]
        assert sum(figures.bytes for figures in held(rt, *tags)) > 4 * MIB
        with keeping(settings):
            eventually(lambda: sum(f.bytes for f in held(rt, *tags)) <= 2 * MIB, "room")
        small, large, larger = held(rt, "small", "large", "larger")
        assert small.entries == 100
        assert large.bytes == pytest.approx(larger.bytes, rel=0.1)
        assert small.bytes < large.bytes
        assert large.evicted["deployment"] + large.entries == 1000
        assert sum(figures.entries for figures in held(rt, *tags[3:])) == 100


def test_garbage_and_what_expired_are_removed_where_nobody_writes(deployment: Deployment) -> None:
    settings = settings_of(deployment)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=2)
        rt.cache.set_many({f"{n}": n for n in range(2500)}, tenant="acme", namespace="old", tags=["t"])
        rt.cache.set_many({f"{n}": n for n in range(100)}, tenant="acme", namespace="kept")
        rt.cache.set_many({f"{n}": n for n in range(100)}, tenant="acme", ttl=1)
        rt.cache.invalidate_namespace("old", tenant="acme")
        rt.cache.set_many({f"{n}": n for n in range(50)}, tenant="acme", namespace="old")
        tags = ("acme.0", "acme.1")

        def cleared() -> bool:
            return sum(figures.entries for figures in held(rt, *tags)) == 150

        with keeping(settings):
            eventually(cleared, "garbage and expired entries to go")
            keys = Keys(settings.cache.key_prefix)
            eventually(
                lambda: not any(deployment.client.exists(keys.account_garbage(tag)) for tag in tags),
                "the marks to go",
            )
        found = sum(held(rt, *tags), Figures())
        # 50 of them were written anew, and counted no more as garbage.
        assert found.evicted == {"policy": 0, "deployment": 0, "garbage": 2450, "expired": 100}
        assert len(rt.cache.get_many([f"{n}" for n in range(100)], tenant="acme", namespace="kept")) == 100
        assert len(rt.cache.get_many([f"{n}" for n in range(100)], tenant="acme", namespace="old")) == 50
        for tag in tags:
            assert deployment.client.zcard(keys.account_index(tag)) == held(rt, tag)[0].entries
            assert rt.store.drive(differences(Account(keys, tag))) == []


def test_one_keeps_at_a_time_and_another_takes_over(on_valkey: Deployment) -> None:
    settings = settings_of(on_valkey)
    lease = on_valkey.keys.control("accounts:keeper")
    with keeping(settings, "one"):
        eventually(lambda: on_valkey.client.get(lease) == b"one", "the first")
        with keeping(settings, "two"):
            pass
        assert on_valkey.client.get(lease) == b"one", "the other one neither took it nor gave it up"
    assert on_valkey.client.get(lease) is None
    with keeping_accounts(settings):  # as a worker process does
        eventually(lambda: on_valkey.client.get(lease), "a worker")


def test_tenants_without_a_record_are_found(on_valkey: Deployment) -> None:
    settings = settings_of(on_valkey, tenant={"isolation_level": "logical"}, cache={"max_memory_bytes": MIB})
    with riptide.connect(config=settings) as rt:
        for tenant in ("one", "two"):
            rt.cache.set_many({f"{n}": KIB for n in range(800)}, tenant=tenant)
        with keeping(settings):
            eventually(lambda: sum(f.bytes for f in held(rt, "one", "two")) <= MIB, "room")


def test_caps_that_were_lost_in_lending_come_back(on_valkey: Deployment) -> None:
    settings = settings_of(on_valkey)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=4, quotas={"memory_bytes": 4 * MIB})
        name = on_valkey.keys.account("acme.2")
        on_valkey.client.hincrby(name, "shift:bytes", -500_000)  # given, and its taker died

        def parts() -> int:
            accounts = [on_valkey.keys.account(f"acme.{n}") for n in range(4)]
            return sum(int(on_valkey.client.hget(account, "shift:bytes") or 0) for account in accounts)

        with keeping(settings):
            eventually(lambda: parts() == 0, "the caps to be whole")


def test_the_keeper_survives_an_outage(private_server: Callable[..., Any], prefix: str) -> None:
    server = private_server(aof=True)
    found = Deployment(server.url, prefix)
    settings = settings_of(found, redis={"retry_attempts": 0, "command_timeout_ms": 1000})
    lease = found.keys.control("accounts:keeper")
    with keeping(settings):
        eventually(lambda: found.client.get(lease), "the keeper")
        server.kill()
        server.start()
        found.client.delete(lease)
        eventually(lambda: found.client.get(lease), "the keeper again")
    found.close()
