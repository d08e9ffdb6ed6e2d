"""Data keys on real servers: given to tenants, rotated, wrapped anew, destroyed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import riptide
from riptide.errors import (
    ConfigError,
    InvalidInput,
    KeyUnavailable,
    TenantExists,
    TooManyTenants,
    UnknownTenant,
)
from riptide.store.operation import Flow
from riptide.tenants.keyring.data_key import WrappedKey
from riptide.tenants.keyring.master import new_master_key
from riptide.tenants.purge.mark import begun
from tests.integration.encryption.test_entries import (
    MASTER,
    SECRET,
    entry_names,
    everything,
    forged,
    make,
    settings_of,
)
from tests.integration.purge.test_purging import purge
from tests.support.deployment import Deployment

EVERYWHERE = {"enable_encryption_at_rest": True}


def blobs_of(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*") if found.is_file())


def test_switched_on_and_off(on_valkey: Deployment, tmp_path: Path) -> None:
    with riptide.connect(config=settings_of(on_valkey, tmp_path)) as rt:
        rt.tenants.create("acme")
        assert (rt.keys.status("acme").key, blobs_of(tmp_path)) == (0, [])
        rt.cache.set("before", SECRET, tenant="acme")
        with pytest.raises(InvalidInput, match="not encrypted: switch it on by 'riptide tenant update acme"):
            rt.keys.rotate("acme")
        rt.tenants.update("acme", settings={"encryption_enabled": True})
        rt.tenants.update("acme", settings={"encryption_enabled": True, "other": 1})
        key = rt.keys.status("acme").key
        assert (key > 0, len(blobs_of(tmp_path))) == (True, 1)
        rt.cache.set("k", SECRET, tenant="acme")
        assert rt.cache.get_many(["before", "k"], tenant="acme") == {"before": SECRET, "k": SECRET}
        rt.tenants.update("acme", settings={"encryption_enabled": None})
        rt.cache.set("after", SECRET, tenant="acme")
        assert rt.cache.get_many(["k", "after"], tenant="acme") == {"k": SECRET, "after": SECRET}
        entries = [on_valkey.client.get(name) for name in entry_names(on_valkey)]
        assert sorted(int.from_bytes(data[52:56], "little") for data in entries) == [0, 0, key]
        trail = [(one.operation, one.metadata.get("key")) for one in rt.tenants.audit("acme").records]
        assert trail == [
            ("update", [key, 0]),
            ("update", None),
            ("update", [0, key]),
            ("create", None),
        ]


def test_a_tenant_that_is_not_made_leaves_no_key(on_valkey: Deployment, tmp_path: Path) -> None:
    with riptide.connect(config=settings_of(on_valkey, tmp_path, tenant={"max_tenants": 1})) as rt:
        make(rt)
        held = blobs_of(tmp_path)
        for tenant in ("acme", "globex"):
            with pytest.raises((TenantExists, TooManyTenants)):
                make(rt, tenant)
        assert blobs_of(tmp_path) == held


def test_another_master_key(on_valkey: Deployment, tmp_path: Path) -> None:
    """New first beside the old one, everything wrapped anew, then the old one is taken away."""
    new = new_master_key()
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"1:{MASTER}")) as rt:
        make(rt)
        rt.cache.set("k", SECRET, tenant="acme")
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"2:{new}")) as rt:
        with pytest.raises(KeyUnavailable, match="wrapped by version 1 of the master key, and there is only"):
            rt.cache.get("k", tenant="acme")
        with pytest.raises(KeyUnavailable):
            rt.cache.set("k", 1, tenant="acme")
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"2:{new},1:{MASTER}")) as rt:
        assert rt.cache.get("k", tenant="acme") == SECRET
        assert rt.keys.status("acme").masters == {1: 1}
        status = rt.keys.rotate("acme")
        assert (status.keys, status.masters) == (2, {2: 2})
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"2:{new}")) as rt:
        assert rt.cache.get("k", tenant="acme") == SECRET
        on_valkey.client.delete(on_valkey.keys.keyring("acme"))
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"2:{new}")) as rt:
        assert rt.cache.get("k", tenant="acme") == SECRET, "the blob store has them"
        assert on_valkey.client.hlen(on_valkey.keys.keyring("acme")) == 1, "and now they are at hand again"


def test_who_is_not_encrypted_any_more_or_closed_gets_no_new_key(
    on_valkey: Deployment, tmp_path: Path
) -> None:
    """The old master key can be taken away all the same."""
    new = new_master_key()
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"1:{MASTER}")) as rt:
        for tenant in ("off", "closed"):
            make(rt, tenant)
            rt.cache.set("k", SECRET, tenant=tenant)
        rt.tenants.update("off", settings={"encryption_enabled": False})
        key = rt.keys.status("closed").key
        rt.tenants.disable("closed")
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"2:{new},1:{MASTER}")) as rt:
        wrapped = [rt.keys.rotate(tenant) for tenant in ("off", "closed")]
        assert [(one.key, one.keys, one.masters) for one in wrapped] == [(0, 1, {2: 1}), (key, 1, {2: 1})]
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"2:{new}")) as rt:
        assert [rt.cache.get("k", tenant=tenant) for tenant in ("off", "closed")] == [SECRET] * 2


def test_rotating_puts_nothing_back_that_a_purge_destroyed(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with riptide.connect(config=settings_of(on_valkey, tmp_path, f"1:{MASTER}")) as rt:
        make(rt)
        incarnation = rt.tenants.disable("acme").incarnation
    new = f"2:{new_master_key()},1:{MASTER}"
    with riptide.connect(config=settings_of(on_valkey, tmp_path, new)) as rt:
        stored = rt.ring.stored

        def purged_then(tenant: str, of: str) -> Flow[list[WrappedKey]]:
            """What is there, read before the purge and used after it."""
            found = yield from stored(tenant, of)
            on_valkey.client.hset(on_valkey.keys.record(tenant), "incarnation", begun(of))
            yield from rt.ring.destroy(tenant, of)
            return found

        with monkeypatch.context() as patch:
            rewrap = rt.ring.rewrap

            def rewrapping(tenant: str, of: str) -> Flow[int]:
                patch.setattr(rt.ring, "stored", purged_then)
                return (yield from rewrap(tenant, of))

            patch.setattr(rt.ring, "rewrap", rewrapping)
            with pytest.raises(UnknownTenant):
                rt.keys.rotate("acme")
        assert not [name for name in blobs_of(tmp_path) if incarnation in name]


def test_many_at_a_time_name_one_key(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = settings_of(on_valkey, tmp_path, security=EVERYWHERE)
    with riptide.connect(config=settings_of(on_valkey, tmp_path)) as rt:
        rt.tenants.create("acme")
    together = threading.Barrier(6)

    def work(number: int) -> None:
        with riptide.connect(config=settings) as rt:
            together.wait(30)
            for tenant in ("acme", None):
                rt.cache.set(f"k{number}", SECRET, tenant=tenant)
                assert rt.cache.get(f"k{number}", tenant=tenant) == SECRET

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [None] * 6
    with riptide.connect(config=settings) as rt:
        assert [rt.keys.status(tenant).keys for tenant in ("acme", "default")] == [1, 1]
        found = rt.cache.get_many([f"k{n}" for n in range(6)])
    assert found == dict.fromkeys(found, SECRET)
    assert len(found) == 6
    assert b"nobody else" not in everything(on_valkey)


def test_all_tenants_the_default_one_too(deployment: Deployment, tmp_path: Path) -> None:
    settings = settings_of(deployment, tmp_path, security=EVERYWHERE, tenant={"enable_encryption": False})
    with riptide.connect(config=settings) as rt:
        rt.cache.set_many({f"k{n}": SECRET for n in range(50)})
        assert len(rt.cache.get_many([f"k{n}" for n in range(50)])) == 50
        rt.tenants.create("acme")
        rt.cache.set("k", SECRET, tenant="acme")
        first, second = rt.keys.status().key, rt.keys.rotate().key
        rt.cache.set("k1", SECRET)
        assert rt.cache.get("k2") == rt.cache.get("k1") == SECRET
    assert first != second
    assert b"nobody else" not in everything(deployment)
    with (
        riptide.connect(config=settings_of(deployment, tmp_path, None)) as plain,
        pytest.raises(KeyUnavailable, match="tenant default is encrypted"),
    ):
        plain.cache.set("k1", SECRET)


def test_it_wants_a_master_key_and_a_record(on_valkey: Deployment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no master key"):
        riptide.connect(config=settings_of(on_valkey, tmp_path, None, security=EVERYWHERE))
    loose = settings_of(on_valkey, tmp_path, security=EVERYWHERE, tenant={"isolation_level": "logical"})
    with riptide.connect(config=loose) as rt, pytest.raises(UnknownTenant, match="can have no data key"):
        rt.cache.set("k", 1, tenant="acme")


async def test_nothing_of_a_purged_tenant_can_be_read(on_valkey: Deployment, tmp_path: Path) -> None:
    """Not by who copied its entries and its wrapped keys before, and has the master key."""
    settings = settings_of(on_valkey, tmp_path, streams={"archive": False})
    client = on_valkey.client
    with riptide.connect(config=settings) as before:
        make(before)
        make(before, "globex")
        before.cache.set("k", SECRET, tenant="acme")
        before.cache.set("k", SECRET, tenant="globex")
        with riptide.connect(config=settings) as other:
            assert other.cache.get("k", tenant="acme") == SECRET, "which puts its key at hand on the server"
        (name,) = entry_names(on_valkey)
        copy, ring = client.get(name), client.hgetall(on_valkey.keys.keyring("acme"))
        ended = await purge(settings, "acme")
        assert ended.value["data_keys"] == 1
        data_keys = [one.split("/")[1] for one in blobs_of(tmp_path) if one.startswith("keyring/")]
        assert data_keys == ["globex"]
        assert not client.exists(on_valkey.keys.keyring("acme"))
        with riptide.connect(config=settings) as rt:
            make(rt)
            rt.cache.set("k", "of the next one", tenant="acme")
            epoch = client.get(name)[20:28]
            client.set(name, forged(copy[:20] + epoch + copy[28:]), px=100_000)
            client.hset(on_valkey.keys.keyring("acme"), mapping=ring)
            assert rt.cache.get("k", tenant="acme") is None
            assert rt.cache.stats().foreign == 1
            assert rt.cache.get("k", tenant="globex") == SECRET
            rt.cache.set("k", "again", tenant="acme")
        assert before.cache.get("k", tenant="acme") == "again", "who knew the old one learns of the new one"
        assert before.cache.stats().foreign == 0
