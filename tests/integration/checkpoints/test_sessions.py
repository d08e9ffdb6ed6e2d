"""Sessions in checkpoints: whole, wherever their data was, and what is kept about them made anew."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints import names
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from riptide.tenants.keyring.master import new_master_key
from tests.integration.sessions.test_spill import SECRET, blob_names, data_of, fill, spill
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.purged import Dump, dump
from tests.support.waiting import eventually


def kept(deployment: Deployment) -> Dump:
    """All about sessions, but for what changes by itself: how far accounts are settled and what became of
    blobs before; the blobs' names."""
    start = f"{deployment.prefix}:session:".encode()
    moving = (
        b"|at",
        b"|spilled",
        b"|spilled:us",
        b"|restored",
        b"|restored:us",
        b"|blob",
        b"|evicted:expired",
    )
    return {
        place: value
        for place, value in dump(deployment).items()
        if place.startswith(start)
        and not place.endswith(moving)
        and b"~blobs|" not in place
        and b"|bs:" not in place
    }


def blob_bytes(settings: Any) -> int:
    return sum(blob.size for blob in open_blobs(settings.blobs).list("sessions/"))


def all_of(rt: RipTide, there: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {tenant: {one: data_of(rt, one, tenant) for one in some} for tenant, some in there.items()}


def test_they_come_back_as_they_were(deployment: Deployment, tmp_path: Path) -> None:
    """Spilled, in memory, encrypted; their blobs of before are not needed, and all that is kept about them is
    as exact as it was: when they end nothing is left."""
    settings = checkpoint_settings(
        deployment,
        tmp_path,
        tenant={"enabled": True, "enable_encryption": True},
        security={"encryption_key": new_master_key()},
        state={"checkpoint_compression": False},
    )
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=2)
        rt.tenants.create("vault", settings={"encryption_enabled": True})
        tenants = ("acme", "vault", "default")
        there = {tenant: fill(rt, 3, tenant) for tenant in tenants}
        hidden = rt.sessions.create("ada", {"a": SECRET * 9}, tenant="vault")
        assert spill(rt).sessions == 10
        for tenant in tenants:
            there[tenant] |= fill(rt, 2, tenant)
        there["vault"][hidden.id] = dict(hidden.data)
        made = rt.checkpoints.create()
        assert (made.keys["sessions"], made.left_out) == (16, 0)
        assert SECRET.encode() not in open_blobs(settings.blobs).get(
            names.content_name(deployment.prefix, made.content)
        )
        before, levels = kept(deployment), [rt.sessions.levels(tenant=tenant) for tenant in tenants]
        assert not +rt.checkpoints.restore(made.id).items

        forget(deployment)
        for name in blob_names(settings):
            open_blobs(settings.blobs).delete(name)
        assert rt.checkpoints.restore(made.id, dry_run=True).items["sessions"] == 16
        assert not blob_names(settings)
        assert not kept(deployment)
        assert rt.checkpoints.restore(made.id).items["sessions"] == 16
        assert kept(deployment) == before
        assert rt.checkpoints.restore(made.id).items["sessions"] == 0
        assert kept(deployment) == before
        for tenant, held in zip(tenants, levels, strict=True):
            now = rt.sessions.levels(tenant=tenant)
            assert now[1:6] == held[1:6]
        assert blob_bytes(settings) == sum(one.storage_bytes for one in levels)
        assert all_of(rt, there) == there
        assert {one.user_id for one in rt.sessions.list(tenant="vault", user_id="ada")} == {"ada"}

        for tenant, some in there.items():
            for session in some:
                assert rt.sessions.terminate(session, tenant=tenant)
        spill(rt, 10**9)
        for tenant in tenants:
            assert rt.sessions.levels(tenant=tenant)[1:6] == (0, 0, 0, 0, 0)
        assert not blob_names(settings)
        account = deployment.client.hgetall(deployment.keys.session_account("acme"))
        assert not [field for field in account if field.isdigit()], "no bucket is left"


def test_what_ended_meanwhile_stays_ended(deployment: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        lasting = rt.sessions.create("ada", {"n": 1}, tenant="acme", ttl=900)
        brief = [rt.sessions.create("ada", {"x": "x" * 500}, tenant="acme", ttl=5) for _ in range(2)]
        spill(rt)
        made = rt.checkpoints.create()
        assert made.keys["sessions"] == 3
        eventually(lambda: rt.sessions.levels(tenant="acme").sessions == 1, "the brief ones to end")
        forget(deployment)
        stored = blob_bytes(settings)
        assert rt.checkpoints.restore(made.id).items["sessions"] == 1
        assert rt.sessions.levels(tenant="acme")[1] == 1
        assert [one.id for one in rt.sessions.list(tenant="acme")] == [lasting.id]
        assert not blob_bytes(settings) - stored, "no blob is written for what has ended"
        assert all(rt.sessions.get(one.id, tenant="acme") is None for one in brief)
        found = rt.sessions.get(lasting.id, tenant="acme")
        assert found
        assert found.expires_ms == lasting.expires_ms


def test_on_a_living_server_what_is_there_stays(deployment: Deployment, tmp_path: Path) -> None:
    """Of one tenant; whoever is not asked for is not touched. What has ended since comes back."""
    settings = checkpoint_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        for tenant in ("acme", "globex"):
            rt.tenants.create(tenant)
        changed, ended, gone = fill(rt, 3, "acme")
        (others,) = fill(rt, 1, "globex")
        made = rt.checkpoints.create()
        assert rt.sessions.update(changed, {"n": "newer"}, tenant="acme")
        rt.sessions.terminate(ended, tenant="acme")
        deployment.client.delete(deployment.keys.session("acme", gone))  # as if it were lost
        deployment.client.zrem(deployment.keys.session_index("acme"), gone)
        rt.sessions.terminate(others, tenant="globex")
        later = rt.sessions.create("bob", {"n": 5}, tenant="acme").id
        assert rt.checkpoints.restore(made.id, tenants=["acme"]).items["sessions"] == 2
        assert data_of(rt, changed)["n"] == "newer"
        assert data_of(rt, later) == {"n": 5}
        assert (data_of(rt, ended)["n"], data_of(rt, gone)["n"]) == (1, 2)
        assert not rt.sessions.levels(tenant="globex").sessions
        assert {one.id for one in rt.sessions.list(tenant="acme")} == {changed, ended, gone, later}


def test_an_account_that_is_far_behind_is_settled_first(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        there = fill(rt, 3, "default")
        made = rt.checkpoints.create()
        forget(on_valkey)
        past, count = 1_700_000_000, 700
        client, keys = on_valkey.client, on_valkey.keys
        client.zadd(keys.session_index("default"), {f"old{n}": past + n for n in range(count)})
        account = {"entries": count, "bytes": 400 * count, "at": past - 1}
        client.hset(keys.session_account("default"), mapping=account | {past + n: 400 for n in range(count)})
        assert rt.checkpoints.restore(made.id).items["sessions"] == 3
        assert rt.sessions.levels(tenant="default").sessions == 3
        assert all_of(rt, {"default": there}) == {"default": there}
        account = client.hgetall(keys.session_account("default"))
        assert sum(int(v) for f, v in account.items() if f.isdigit()) == int(account[b"bytes"])


class Meddling:
    """A blob store in which something happens before a blob is read."""

    def __init__(self, blobs: Any, before: Callable[[str], None]) -> None:
        self._blobs, self._before, self.place = blobs, before, blobs.place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def get(self, name: str) -> bytes:
        self._before(name)
        data: bytes = self._blobs.get(name)
        return data


def test_one_that_comes_back_to_memory_while_it_is_read(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    blobs = open_blobs(settings.blobs)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        there = fill(rt, 3, "acme")
        spill(rt)
        moved, ended, stays = there

        once, done = threading.Lock(), threading.Event()

        def meddle(_: str) -> None:
            with once:
                if not done.is_set():
                    done.set()
                    assert rt.sessions.update(moved, {"n": "newer"}, tenant="acme")
                    assert rt.sessions.terminate(ended, tenant="acme")
                    assert spill(rt, 10**9).blobs == 2

        store: Any = Meddling(blobs, meddle)
        made = Shelf(settings, store).create()
        assert (made.left_out, made.keys["sessions"]) == (0, 2)
        forget(on_valkey)
        restore(settings, Shelf(settings), made.id)
        assert data_of(rt, moved) == there[moved] | {"n": "newer"}
        assert data_of(rt, stays) == there[stays]
        assert data_of(rt, ended) is None


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_one_without_its_data_keeps_no_checkpoint_from_being_written(
    on_valkey: Deployment, tmp_path: Path, damage: str
) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    blobs = open_blobs(settings.blobs)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        there = fill(rt, 2, "acme")
        spill(rt)
        name = blob_names(settings)[0]
        good = blobs.get(name)
        blobs.delete(name) if damage == "missing" else blobs.put(name, good[:-1])
        made = rt.checkpoints.create()
        assert (made.left_out, made.keys["sessions"]) == (1, 1)
        blobs.put(name, good)
        assert not rt.checkpoints.restore(made.id).items["sessions"]
        assert all_of(rt, {"acme": there}) == {"acme": there}, "the stub stayed as it was"
        assert rt.checkpoints.create().left_out == 0


def test_many_large_ones_are_read_a_few_at_a_time(on_valkey: Deployment, tmp_path: Path) -> None:
    """More in one page of names than one call answers."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"active_sessions": -1})
        there = {"acme": fill(rt, 30, "acme", size=200_000)}
        made = rt.checkpoints.create()
        forget(on_valkey)
        assert rt.checkpoints.restore(made.id).items["sessions"] == 30
        assert all_of(rt, there) == there
