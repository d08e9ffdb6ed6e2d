"""Sessions on real servers: their life, who may have how many, and what two writers do to each other."""

import asyncio
import random
import threading
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.errors import (
    Damaged,
    InvalidInput,
    MultiTenancyDisabled,
    QuotaExceeded,
    TenantNotActive,
    UnknownTenant,
)
from riptide.reads.aio_client import aconnect
from riptide.state.sessions.session import MOST_BYTES, MOST_FIELDS
from riptide.tenants.keyring.master import new_master_key
from tests.support.deployment import Deployment
from tests.support.purged import dump
from tests.support.waiting import eventually

ON: dict[str, Any] = {"tenant": {"enabled": True}}
SECRET = "what nobody else may read"


def test_the_life_of_a_session(deployment: Deployment) -> None:
    with riptide.connect(config=deployment.settings(**ON)) as rt:
        rt.tenants.create("acme", shards=2)
        made = rt.sessions.create(
            "ada",
            {"cart": [1, 2], "step": "pay"},
            tenant="acme",
            client_ip="192.0.2.7",
            user_agent="curl/8",
            source="web",
            attributes={"plan": "free"},
        )
        assert rt.sessions.get(made.id, tenant="acme") == made
        assert (made.ttl_seconds, made.tenant, made.user_id) == (1800, "acme", "ada")
        assert 0 < made.expires_ms - made.created_ms - 1_800_000 <= 1000
        assert rt.sessions.update(made.id, {"cart": None, "ünïcode": "x"}, remove=["step"], tenant="acme")
        found = rt.sessions.get(made.id, tenant="acme")
        assert found is not None
        assert found.data == {"cart": None, "ünïcode": "x"}
        assert (found.client_ip, found.user_agent, found.source) == ("192.0.2.7", "curl/8", "web")
        assert found.attributes == {"plan": "free"}
        assert rt.sessions.replace(made.id, {"only": True}, tenant="acme")
        found = rt.sessions.get(made.id, tenant="acme")
        assert found is not None
        assert found.data == {"only": True}
        assert found.created_ms == made.created_ms
        assert rt.sessions.touch(made.id, tenant="acme")
        assert rt.sessions.terminate(made.id, tenant="acme")
        assert rt.sessions.get(made.id, tenant="acme") is None
        for gone in (
            rt.sessions.terminate(made.id, tenant="acme"),
            rt.sessions.touch(made.id, tenant="acme"),
            rt.sessions.update(made.id, {"a": 1}, tenant="acme"),
            rt.sessions.replace(made.id, {"a": 1}, tenant="acme"),
        ):
            assert not gone
        assert rt.sessions.levels(tenant="acme")[:4] == (False, 0, 0, 0)


async def test_the_asynchronous_face_does_the_same(on_valkey: Deployment) -> None:
    async with await aconnect(config=on_valkey.settings()) as rt:
        made = await rt.sessions.create("ada", {"a": 1})
        assert await rt.sessions.update(made.id, {"b": 2})
        assert await rt.sessions.touch(made.id)
        found = await rt.sessions.get(made.id)
        assert found is not None
        assert found.data == {"a": 1, "b": 2}
        assert [one.id async for one in rt.sessions.list()] == [made.id]
        assert (await rt.sessions.levels()).sessions == 1
        assert await rt.sessions.replace(made.id, {})
        assert await rt.sessions.terminate(made.id)
        assert await rt.sessions.get(made.id) is None


def test_concurrent_updates_of_different_fields_lose_none(deployment: Deployment, rng: random.Random) -> None:
    """Four threads and two faces; each field's last value is what its one writer wrote last."""
    settings = deployment.settings()
    with riptide.connect(config=settings) as rt:
        session = rt.sessions.create("ada", {"shared": 0}).id
        texts = {f"f{n}": ["x" * rng.randrange(1, 400) for _ in range(25)] for n in range(4)}

        def write(name: str) -> None:
            for text in texts[name]:
                assert rt.sessions.update(session, {name: text})

        threads = [threading.Thread(target=write, args=(name,)) for name in texts]
        for thread in threads:
            thread.start()

        async def also() -> None:
            async with await aconnect(config=settings) as other:
                for number in range(25):
                    assert await other.sessions.update(session, {"g": number})

        asyncio.run(also())
        for thread in threads:
            thread.join()
        found = rt.sessions.get(session)
        assert found is not None
        assert found.data == {"shared": 0, "g": 24} | {name: own[-1] for name, own in texts.items()}


def test_as_many_as_the_tenant_may_have_and_not_one_more(deployment: Deployment) -> None:
    """Threads race for the last places; a terminated and an expired session make room for others."""
    with riptide.connect(config=deployment.settings(**ON)) as rt:
        rt.tenants.create("acme", quotas={"active_sessions": 5})
        made: list[str] = []
        refused: list[QuotaExceeded] = []

        def create() -> None:
            for _ in range(3):
                try:
                    made.append(rt.sessions.create("bob", tenant="acme").id)
                except QuotaExceeded as error:
                    refused.append(error)

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(made), len(refused)) == (5, 7)
        assert (refused[0].resource, refused[0].limit, refused[0].remaining) == ("active_sessions", 5, 0)
        assert not rt.quotas.check("acme", {"active_sessions": 1})
        for one in made[:2]:
            rt.sessions.terminate(one, tenant="acme")
        assert rt.quotas.check("acme", {"active_sessions": 2})
        brief = [rt.sessions.create("ada", tenant="acme", ttl=1).id for _ in range(2)]
        eventually(lambda: rt.sessions.get(brief[1], tenant="acme") is None, "two sessions to expire")
        for _ in range(2):
            rt.sessions.create("bob", tenant="acme")
        with pytest.raises(QuotaExceeded):
            rt.sessions.create("bob", tenant="acme")
        (quota,) = [one for one in rt.quotas.show("acme") if one.resource == "active_sessions"]
        assert (quota.standing.used, quota.standing.limit) == (5, 5)


def test_the_account_equals_what_is_there(deployment: Deployment, rng: random.Random) -> None:
    """After a random history: sessions and bytes counted anew."""
    keys, client = deployment.keys, deployment.client
    with riptide.connect(config=deployment.settings(**ON)) as rt:
        rt.tenants.create("acme", quotas={"active_sessions": -1})
        ids: list[str] = []
        for _ in range(150):
            one = rng.choice(ids) if ids else ""
            value = {rng.choice("abc"): "v" * rng.randrange(50)}
            match rng.choice(["create", "create", "update", "replace", "touch", "terminate"]):
                case "create":
                    made = rt.sessions.create("ada", value, tenant="acme", ttl=rng.choice([1, 2, 600]))
                    ids.append(made.id)
                case "update":
                    _ = one and rt.sessions.update(one, value, remove=rng.sample("de", 1), tenant="acme")
                case "replace":
                    _ = one and rt.sessions.replace(one, value, tenant="acme")
                case "touch":
                    _ = one and rt.sessions.touch(one, tenant="acme")
                case "terminate":
                    _ = one and rt.sessions.terminate(one, tenant="acme")

        def brief_ones_are_gone() -> bool:
            return all(client.ttl(keys.session("acme", one)) in {-2, *range(10, 700)} for one in ids)

        eventually(brief_ones_are_gone, "those with a short life to expire")
        there = [found for one in ids if (found := client.hgetall(keys.session("acme", one)))]
        own = {b"ttl", b"expires", b"created", b"size", b"rev", b"user"}
        sizes = [sum(len(k) + len(v) for k, v in found.items() if k not in own) for found in there]
        assert sizes == [int(found[b"size"]) for found in there]
        levels = rt.sessions.levels(tenant="acme")
        assert (levels.sessions, levels.memory_bytes) == (len(there), sum(sizes) + 320 * len(there))
        assert client.zcard(keys.session_index("acme")) == len(there)


def test_they_are_listed_by_tenant_and_by_user(deployment: Deployment) -> None:
    with riptide.connect(config=deployment.settings(**ON)) as rt:
        rt.tenants.create("acme")
        rt.tenants.create("globex")
        users = {
            user: {rt.sessions.create(user, {"n": n}, tenant="acme").id for n in range(5)}
            for user in ("ada", "bob", "ada2")
        }
        foreign = rt.sessions.create("ada", tenant="globex")
        assert {one.id for one in rt.sessions.list(tenant="acme")} == set().union(*users.values())
        for user, ids in users.items():
            found = list(rt.sessions.list(tenant="acme", user_id=user))
            assert {one.id for one in found} == ids
            assert {one.user_id for one in found} == {user}
        first = rt.sessions.page(tenant="acme", user_id="ada", limit=3)
        rest = rt.sessions.page(tenant="acme", user_id="ada", limit=3, after=first.cursor)
        assert {one.id for one in first.sessions + rest.sessions} == users["ada"]
        assert rest.cursor is None
        rt.sessions.terminate(first.sessions[0].id, tenant="acme")
        assert len(list(rt.sessions.list(tenant="acme", user_id="ada"))) == 4
        assert not list(rt.sessions.list(tenant="acme", user_id="nobody"))
        assert rt.sessions.get(foreign.id, tenant="acme") is None


def test_who_may_not_write(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    with riptide.connect(config=settings) as rt, riptide.connect(config=settings) as other:
        rt.tenants.create("acme")
        session = rt.sessions.create("ada", {"a": 1}, tenant="acme").id
        other.tenants.suspend("acme", "unpaid")
        for attempt in (
            lambda: rt.sessions.create("ada", tenant="acme"),
            lambda: rt.sessions.update(session, {"a": 2}, tenant="acme"),
            lambda: rt.sessions.replace(session, {}, tenant="acme"),
            lambda: rt.sessions.touch(session, tenant="acme"),
        ):
            with pytest.raises(TenantNotActive, match="unpaid"):
                attempt()
        other.tenants.resume("acme")
        assert rt.sessions.update(session, {"a": 2}, tenant="acme")
        other.tenants.suspend("acme")
        assert rt.sessions.terminate(session, tenant="acme")
        with pytest.raises(UnknownTenant):
            rt.sessions.create("ada", tenant="nobody")
    with riptide.connect(config=on_valkey.settings()) as rt, pytest.raises(MultiTenancyDisabled):
        rt.sessions.create("ada", tenant="acme")


def test_what_cannot_be_is_refused(on_valkey: Deployment) -> None:
    with riptide.connect(config=on_valkey.settings()) as rt:
        session = rt.sessions.create("ada", {"a": 1}).id
        wrong: list[Any] = [
            lambda: rt.sessions.create(""),
            lambda: rt.sessions.create("ada", {"a": object()}),
            lambda: rt.sessions.create("ada", {"": 1}),
            lambda: rt.sessions.create("ada", ttl=0),
            lambda: rt.sessions.create("ada", client_ip="x" * 3000),
            lambda: rt.sessions.create("ada", {"a": "x" * MOST_BYTES}),
            lambda: rt.sessions.create("ada", {str(n): n for n in range(MOST_FIELDS + 1)}),
            lambda: rt.sessions.update(session, {"a": 1}, remove=["a"]),
            lambda: rt.sessions.update(session, {}, remove="a"),
            lambda: rt.sessions.update(session, {f"f{n}": n for n in range(MOST_FIELDS)}),
            lambda: rt.sessions.update(session, {"b": "x" * (MOST_BYTES - 20)}),
            lambda: rt.sessions.get("~account"),
            lambda: rt.sessions.get("a}:b"),
            lambda: rt.sessions.page(after="x"),
            lambda: rt.sessions.page(limit=0),
        ]
        for attempt in wrong:
            with pytest.raises(InvalidInput):
                attempt()
        found = rt.sessions.get(session)
        assert found is not None
        assert found.data == {"a": 1}


def test_an_encrypted_tenants_sessions_show_nothing(deployment: Deployment, tmp_path: Path) -> None:
    settings = deployment.settings(
        tenant={"enabled": True, "enable_encryption": True},
        security={"encryption_key": new_master_key()},
        blobs={"url": str(tmp_path)},
    )
    with riptide.connect(config=settings) as rt, riptide.connect(config=settings) as other:
        rt.tenants.create("acme", settings={"encryption_enabled": True})
        made = rt.sessions.create("ada lovelace", {"a": SECRET}, tenant="acme", attributes={"x": SECRET})
        twin = rt.sessions.create("ada lovelace", {"a": "harmless"}, tenant="acme")
        other.keys.rotate("acme")
        assert rt.sessions.update(made.id, {"b": SECRET}, tenant="acme")
        held = repr(dump(deployment))
        assert SECRET not in held
        assert "lovelace" not in held
        found = other.sessions.get(made.id, tenant="acme")
        assert found is not None
        assert (found.data, found.user_id) == ({"a": SECRET, "b": SECRET}, "ada lovelace")
        assert [one.user_id for one in other.sessions.list(tenant="acme")] == ["ada lovelace"] * 2
        keys, client = deployment.keys, deployment.client
        stolen = client.hget(keys.session("acme", made.id), "d:a")
        client.hset(keys.session("acme", twin.id), "d:a", stolen)
        with pytest.raises(Damaged):
            rt.sessions.get(twin.id, tenant="acme")


@pytest.mark.parametrize("level", ["logical", "none"])
def test_without_strong_isolation(on_valkey: Deployment, level: str) -> None:
    """No record is needed; with none the sessions of all are those of the default tenant."""
    with riptide.connect(config=on_valkey.settings(tenant={"enabled": True, "isolation_level": level})) as rt:
        session = rt.sessions.create("ada", {"a": 1}, tenant="acme")
        assert rt.sessions.update(session.id, {"a": 2}, tenant="acme")
        elsewhere = rt.sessions.get(session.id, tenant="globex")
        assert (elsewhere is None) == (level == "logical")
        assert rt.sessions.terminate(session.id, tenant="acme")


def test_where_all_data_is_encrypted(on_valkey: Deployment, tmp_path: Path) -> None:
    master = new_master_key()
    plain, encrypted = (
        on_valkey.settings(
            security={"encryption_key": master, "enable_encryption_at_rest": at_rest},
            blobs={"url": str(tmp_path)},
        )
        for at_rest in (False, True)
    )
    with riptide.connect(config=plain) as before, riptide.connect(config=encrypted) as rt:
        old = before.sessions.create("ada", {"a": SECRET[:9]}).id
        new = rt.sessions.create("ada", {"a": SECRET}).id
        for side in (before, rt):
            assert side.sessions.update(old, {"b": SECRET})
            assert [found and found.data["a"] for found in map(side.sessions.get, (old, new))] == [
                SECRET[:9],
                SECRET,
            ]
        assert SECRET not in repr(dump(on_valkey))


def test_a_tenant_that_was_made_anew(on_valkey: Deployment) -> None:
    """Who knew the one before sees sessions of the new one, and writes none in the name of the old one."""
    settings = on_valkey.settings(**ON)
    with riptide.connect(config=settings) as rt, riptide.connect(config=settings) as other:
        rt.tenants.create("acme")
        rt.sessions.create("ada", tenant="acme")
        name = on_valkey.keys.record("acme")
        on_valkey.client.hset(name, "incarnation", "another")  # as a purge and a creation leave it
        made = other.sessions.create("bob", {"a": 1}, tenant="acme")
        found = rt.sessions.get(made.id, tenant="acme")
        assert found is not None
        assert rt.sessions.update(made.id, {"a": 2}, tenant="acme")
        assert rt.sessions.terminate(made.id, tenant="acme")
