"""Entries of encrypted tenants: read and written as all others, and of no use anywhere else."""

from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.cache.entry import Miss
from riptide.cache.writing import MISSING
from riptide.config import Settings
from riptide.errors import InvalidInput, KeyUnavailable
from riptide.reads.aio_client import aconnect
from riptide.reads.sync_client import RipTide
from riptide.tenants.keyring.master import new_master_key
from tests.support.deployment import Deployment

MASTER = new_master_key()
SECRET = "what nobody else may read " * 8


def settings_of(place: Deployment, blobs: Path, master: str | None = MASTER, **sections: Any) -> Settings:
    tenant = {"enabled": True, "enable_encryption": True} | sections.pop("tenant", {})
    security = {"encryption_key": master} | sections.pop("security", {})
    return place.settings(tenant=tenant, security=security, blobs={"url": str(blobs)}, **sections)


def make(rt: RipTide, tenant: str = "acme", **more: Any) -> None:
    rt.tenants.create(tenant, settings={"encryption_enabled": True}, **more)


def entry_names(place: Deployment, tenant: str = "acme") -> list[bytes]:
    """The keys of its entries."""
    found = place.client.scan_iter(match=f"{place.prefix}:tenant:{{{tenant}*}}:default:*", count=1000)
    return sorted(
        name for name in found if place.client.type(name) == b"string" and len(name.rpartition(b":")[2]) == 32
    )


def everything(place: Deployment) -> bytes:
    """All bytes of this deployment's strings."""
    names = place.client.scan_iter(match=f"{place.prefix}:*", count=1000)
    return b"".join(place.client.get(name) for name in names if place.client.type(name) == b"string")


@pytest.mark.parametrize("shards", [1, 4])
def test_they_are_read_as_all_others_and_nothing_shows(
    deployment: Deployment, tmp_path: Path, shards: int
) -> None:
    settings = settings_of(deployment, tmp_path)
    values: dict[str, Any] = {"json": {"secret": SECRET}, "bytes": SECRET.encode(), "long": SECRET * 200}
    with riptide.connect(config=settings) as rt:
        make(rt, shards=shards)
        rt.cache.set_many(values, tenant="acme")
        rt.cache.set("tagged", SECRET, tenant="acme", tags=["t"], source=SECRET, attributes={"a": SECRET})
        loaded = rt.cache.get_or_load("loaded", lambda: SECRET, tenant="acme", stale=60)
        nothing = rt.cache.get_or_load("none", lambda: MISSING, tenant="acme", default=None)
        rt.cache.write_behind("behind", SECRET, tenant="acme")
        rt.cache.flush()
    assert (loaded, nothing) == (SECRET, None)
    assert b"nobody else" not in everything(deployment)
    with riptide.connect(config=settings) as rt:  # which holds no key yet
        assert rt.cache.get("json", tenant="acme") == values["json"]
        assert rt.cache.get_many([*values, "behind", "nix"], tenant="acme") == values | {"behind": SECRET}
        entry = rt.cache.entry("tagged", tenant="acme")
        assert entry is not None
        assert (entry.value, entry.metadata.source) == (SECRET, SECRET)
        assert rt.cache.touch("tagged", 100, tenant="acme")
        assert rt.cache.get("tagged", tenant="acme") == SECRET
        assert rt.cache.get_or_load("loaded", pytest.fail, tenant="acme") == SECRET
        assert rt.cache.inspect("none", tenant="acme") is not Miss.ABSENT
        assert {row["value"] for row in rt.tenants.export("acme", entries=True) if row.get("value") == SECRET}
        assert rt.cache.invalidate(tags=["t"], tenant="acme") == 1
        assert rt.cache.stats().foreign == 0


async def test_the_asynchronous_face_reads_and_writes_them(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = settings_of(on_valkey, tmp_path)
    async with await aconnect(config=settings) as rt:
        await rt.tenants.create("acme", settings={"encryption_enabled": True})
        await rt.cache.set("k", SECRET, tenant="acme")
        assert await rt.cache.get("k", tenant="acme") == SECRET
        status = await rt.keys.rotate("acme")
        assert (status.keys, status.masters) == (2, {1: 2})
    async with await aconnect(config=settings) as rt:
        assert await rt.cache.get("k", tenant="acme") == SECRET
        assert (await rt.keys.status("acme")).key == status.key
    assert b"nobody else" not in everything(on_valkey)


def test_a_namespace_that_is_invalidated_and_a_key_that_changes_on_the_way(
    on_valkey: Deployment, tmp_path: Path
) -> None:
    """Entries are packed and encrypted again where the writer's knowledge is out of date."""
    settings = settings_of(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt, riptide.connect(config=settings) as other:
        make(rt)
        rt.cache.set("k", 1, tenant="acme")
        other.cache.set("k", 2, tenant="acme")
        other.cache.invalidate_namespace("default", tenant="acme")
        first = rt.keys.status("acme").key
        second = other.keys.rotate("acme").key
        rt.cache.set("k", 3, tenant="acme")
        assert other.cache.get("k", tenant="acme") == rt.cache.get("k", tenant="acme") == 3
        assert first != second
        data = on_valkey.client.get(entry_names(on_valkey)[0])
        assert int.from_bytes(data[52:56], "little") == second


@pytest.mark.parametrize("offset", [20, 28, 36, 37, 40, 44, 48, 52, 56, 63, 64, 70, -1])
def test_no_bit_of_it_can_be_changed(on_valkey: Deployment, tmp_path: Path, offset: int) -> None:
    """Not even by who mends the checksum."""
    settings = settings_of(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        make(rt)
        rt.cache.set("k", SECRET, tenant="acme")
        (name,) = entry_names(on_valkey)
        data = bytearray(on_valkey.client.get(name))
        data[offset] ^= 1
        on_valkey.client.set(name, forged(bytes(data)), px=100_000)
        assert rt.cache.get("k", tenant="acme") is None
        assert rt.cache.stats().foreign == (offset not in range(20, 28)), "of another epoch it is no entry"


def forged(data: bytes) -> bytes:
    """With the checksum that belongs to it."""
    from xxhash import xxh3_64_intdigest

    soft = int.from_bytes(data[4:12], "little")
    return data[:12] + (xxh3_64_intdigest(data[20:]) ^ soft).to_bytes(8, "little") + data[20:]


def test_an_entry_is_of_no_use_under_another_name(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = settings_of(on_valkey, tmp_path)
    client = on_valkey.client
    with riptide.connect(config=settings) as rt:
        make(rt)
        make(rt, "globex")
        for tenant in ("acme", "globex"):
            rt.cache.set("k", tenant, tenant=tenant)
        (mine,) = entry_names(on_valkey)
        rt.cache.set("k2", "second", tenant="acme")
        (second,) = set(entry_names(on_valkey)) - {mine}
        (theirs,) = entry_names(on_valkey, "globex")
        copy = client.get(mine)
        for name in (second, theirs):
            epoch = client.get(name)[20:28]
            client.set(name, forged(copy[:20] + epoch + copy[28:]), px=100_000)
        assert rt.cache.get("k2", tenant="acme") is None
        assert rt.cache.get("k", tenant="globex") is None
        assert rt.cache.get("k", tenant="acme") == "acme"
        assert rt.cache.stats().foreign == 2
        assert client.get(second) is None
        assert client.get(theirs) is None, "it has been removed"


def test_plain_text_in_place_of_it_is_not_taken(on_valkey: Deployment, tmp_path: Path) -> None:
    """Whoever writes past RipTide can put a plain entry there; RipTide itself never does."""
    settings = settings_of(on_valkey, tmp_path)
    plain = settings_of(on_valkey, tmp_path, None)
    with riptide.connect(config=settings) as rt:
        make(rt)
        rt.cache.set("k", SECRET, tenant="acme")
    with riptide.connect(config=plain) as other:
        with pytest.raises(KeyUnavailable, match=r"no master key: set security\.encryption_key"):
            other.cache.set("k", "plain", tenant="acme")
        with pytest.raises(KeyUnavailable, match="no master key"):
            other.cache.get("k", tenant="acme")
        with pytest.raises(KeyUnavailable, match="no master key"):
            other.cache.get_many(["k"], tenant="acme")
    with riptide.connect(config=settings) as rt:
        assert rt.cache.get("k", tenant="acme") == SECRET


def test_what_cannot_be_asked_for(on_valkey: Deployment, tmp_path: Path) -> None:
    off = settings_of(on_valkey, tmp_path, tenant={"enable_encryption": False})
    keyless = settings_of(on_valkey, tmp_path, None)
    everywhere = settings_of(on_valkey, tmp_path, security={"enable_encryption_at_rest": True})
    with (
        riptide.connect(config=off) as rt,
        pytest.raises(InvalidInput, match=r"tenant\.enable_encryption is off"),
    ):
        make(rt)
    with riptide.connect(config=keyless) as rt:
        with pytest.raises(InvalidInput, match="there is no master key"):
            make(rt)
        with pytest.raises(InvalidInput, match="is true or false"):
            rt.tenants.create("acme", settings={"encryption_enabled": "yes"})
    with (
        riptide.connect(config=everywhere) as rt,
        pytest.raises(InvalidInput, match="encrypts all tenants"),
    ):
        rt.tenants.create("acme", settings={"encryption_enabled": False})
    assert not on_valkey.client.exists(on_valkey.keys.record("acme"))
    assert not list(tmp_path.iterdir())
