"""Spilling on real servers: which sessions go, that they come back, and what is left of failures."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import riptide
from commands import Spill
from riptide.config import BlobsSettings, Settings
from riptide.errors import BlobError, BlobNotFound, Damaged, ServerRefused
from riptide.reads.aio_client import aconnect
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from riptide.state.spill.keeper import SessionKeeper
from riptide.state.spill.spilling import Outcome, Spilling
from riptide.store.keys import Keys
from riptide.streams.registry import CommandType
from riptide.tenants.keyring.master import new_master_key
from tests.support.deployment import Deployment
from tests.support.purged import dump
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import running_worker
from workers import HANDLERS

SECRET = "what nobody else may read"
TYPES = [CommandType("spill", Spill, HANDLERS["spill"])]


def settings_of(deployment: Deployment, blobs: Path, **sections: Any) -> Settings:
    sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
    return deployment.settings(blobs={"url": str(blobs)}, **sections)


def spill(rt: RipTide, keep_bytes: int | None = 0, tenant: str | None = None) -> Outcome:
    keys = Keys(rt.settings.cache.key_prefix)
    spilling = Spilling(keys, rt.settings, lambda function: function())
    return rt.store.drive(spilling.spill(tenant, keep_bytes, lambda *_: None))


def blob_names(settings: Settings) -> list[str]:
    return [blob.name for blob in open_blobs(settings.blobs).list("sessions/")]


def fill(rt: RipTide, count: int, tenant: str = "acme", size: int = 1000) -> dict[str, Any]:
    """Sessions by id, with what is in them."""
    made = [rt.sessions.create("ada", {"n": n, "x": "x" * size}, tenant=tenant) for n in range(count)]
    return {one.id: dict(one.data) for one in made}


def data_of(rt: RipTide, session: str, tenant: str = "acme") -> Any:
    found = rt.sessions.get(session, tenant=tenant)
    return found and found.data


def test_they_are_spilled_and_come_back_as_they_were(deployment: Deployment, tmp_path: Path) -> None:
    settings = settings_of(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=2)
        rt.tenants.create("globex")
        there = fill(rt, 12)
        small = rt.sessions.create("bob", {"n": 1}, tenant="globex")
        before = rt.sessions.levels(tenant="acme")
        outcome = spill(rt)
        assert (outcome.sessions, outcome.full) == (12, ())  # a small one would gain nothing
        levels = rt.sessions.levels(tenant="acme")
        assert (levels.sessions, levels.spilled, levels.total_spilled) == (12, 12, 12)
        assert levels.memory_bytes == before.memory_bytes - outcome.bytes
        assert levels.storage_bytes == sum(b.size for b in open_blobs(settings.blobs).list("sessions/"))
        (quota,) = [one for one in rt.quotas.show("acme") if one.resource == "storage_bytes"]
        assert quota.standing.used == levels.storage_bytes
        assert all(one.spilled for one in rt.sessions.list(tenant="acme"))
        assert not spill(rt).sessions
        assert {session: data_of(rt, session) for session in there} == there
        assert data_of(rt, small.id, "globex") == {"n": 1}
        levels = rt.sessions.levels(tenant="acme")
        assert (levels.spilled, levels.total_restored, levels.due) == (0, 12, 12)
        assert levels.memory_bytes == before.memory_bytes
        assert spill(rt, 10**9).blobs == 12
        assert not blob_names(settings)
        figures = rt.sessions.figures()
        assert (figures.sessions, figures.storage_bytes) == (13, 0)
        assert (figures.total_spilled, figures.total_restored) == (12, 12)
        assert figures.avg_spill_time_ms > 0
        assert figures.avg_restore_time_ms > 0


def test_every_change_of_a_spilled_one(deployment: Deployment, tmp_path: Path) -> None:
    settings = settings_of(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        updated, replaced, touched, ended = fill(rt, 4)
        brief = rt.sessions.create("ada", {"x": "x" * 1000}, tenant="acme", ttl=2)
        spill(rt)
        ttl = deployment.client.ttl(deployment.keys.session("acme", touched))
        assert 1700 < ttl <= 1801
        assert rt.sessions.update(updated, {"n": "new"}, tenant="acme")
        assert data_of(rt, updated) == {"n": "new", "x": "x" * 1000}
        assert rt.sessions.replace(replaced, {"only": 1}, tenant="acme")
        assert data_of(rt, replaced) == {"only": 1}
        assert rt.sessions.terminate(ended, tenant="acme")
        assert rt.sessions.touch(touched, tenant="acme")
        # The stub keeps the time to live; then its blob is not needed any more.
        eventually(lambda: rt.sessions.levels(tenant="acme").sessions == 3, "the brief one to expire")
        needed = rt.sessions.levels(tenant="acme").total_spilled - 1  # but for that which was touched
        eventually(lambda: rt.sessions.levels(tenant="acme").due == needed, "the blobs to be due")
        spill(rt, 10**9)
        levels = rt.sessions.levels(tenant="acme")
        assert (levels.spilled, levels.due, len(blob_names(settings))) == (1, 0, 1)
        assert rt.sessions.get(brief.id, tenant="acme") is None
        assert len(data_of(rt, touched)["x"]) == 1000
        spill(rt, 10**9)
        levels = rt.sessions.levels(tenant="acme")
        assert (levels.sessions, levels.storage_bytes, blob_names(settings)) == (3, 0, [])


def test_the_least_recently_used_go_first_of_all_tenants(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = settings_of(on_valkey, tmp_path, state={"session_memory_bytes": 30_000})
    with riptide.connect(config=settings) as rt:
        for tenant in ("acme", "globex"):
            rt.tenants.create(tenant)
        old = {**fill(rt, 5, "acme"), **fill(rt, 5, "globex")}
        last = on_valkey.keys.session("globex", list(old)[-1])

        def unused() -> bool:
            return bool(on_valkey.client.object("idletime", last) >= 2)

        eventually(unused, "the first ones to be out of use")
        new = {**fill(rt, 5, "acme"), **fill(rt, 5, "globex")}
        outcome = spill(rt, None)
        assert rt.sessions.figures().memory_bytes <= 24_000
        assert 0 < outcome.sessions <= 10
        spilled = {one.id for t in ("acme", "globex") for one in rt.sessions.list(tenant=t) if one.spilled}
        assert spilled <= set(old)
        assert not spilled & set(new)
        assert spill(rt, None).nothing, "below the bound nothing is done"


def test_nobody_stores_more_than_its_quota(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = settings_of(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"storage_bytes": 3500})
        there = fill(rt, 6)
        outcome = spill(rt)
        assert (outcome.sessions, outcome.full) == (3, ("acme",))
        assert 3000 < rt.sessions.levels(tenant="acme").storage_bytes <= 3500
        assert len(blob_names(settings)) == 3
        assert not rt.quotas.check("acme", {"storage_bytes": 1000})
        assert {session: data_of(rt, session) for session in there} == there


def test_an_encrypted_tenants_blobs_show_nothing(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = settings_of(
        on_valkey, tmp_path, tenant={"enable_encryption": True}, security={"encryption_key": new_master_key()}
    )
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", settings={"encryption_enabled": True})
        session = rt.sessions.create("ada", {"a": SECRET * 9}, tenant="acme").id
        assert spill(rt).sessions == 1
        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert SECRET.encode() not in stored
        assert session.encode() not in b"".join(str(f).encode() for f in tmp_path.rglob("*"))
        assert data_of(rt, session) == {"a": SECRET * 9}


def test_a_blob_that_is_missing_damaged_or_anothers(on_valkey: Deployment, tmp_path: Path) -> None:
    """A clear error; the stub stays, and all is well when the blob is back."""
    settings = settings_of(on_valkey, tmp_path)
    blobs = open_blobs(settings.blobs)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        (session, data), *_ = fill(rt, 1).items()
        spill(rt)
        (name,) = blob_names(settings)
        good = blobs.get(name)
        blobs.delete(name)
        for attempt in (
            lambda: rt.sessions.get(session, tenant="acme"),
            lambda: rt.sessions.update(session, {"n": 1}, tenant="acme"),
        ):
            with pytest.raises(BlobNotFound, match="acme was spilled"):
                attempt()
        for number in range(0, len(good), 97):
            blobs.put(name, good[:number] + bytes([good[number] ^ 1]) + good[number + 1 :])
            with pytest.raises(Damaged):
                rt.sessions.get(session, tenant="acme")
            blobs.put(name, good[:number])
            with pytest.raises(Damaged):
                rt.sessions.get(session, tenant="acme")
        assert rt.sessions.touch(session, tenant="acme")
        blobs.put(name, good)
        assert data_of(rt, session) == data


async def test_the_command_spills_and_tells_what_it_did(deployment: Deployment, tmp_path: Path) -> None:
    settings = settings_of(deployment, tmp_path)
    async with await aconnect(config=settings) as rt, running_worker(settings, TYPES, log=Silent()):
        await rt.tenants.create("acme")
        made = [await rt.sessions.create("ada", {"x": "x" * 900}, tenant="acme") for _ in range(5)]
        ended = await rt.wait(await rt.publish(Spill(keep_bytes=0)), PATIENCE)
        assert ended.state == "done"
        assert ended.value["sessions"] == 5
        quiet = await rt.wait(await rt.publish(Spill(keep_bytes=10**6)), PATIENCE)
        assert (quiet.state, quiet.value) == ("done", None)
        entries = await rt.wait(await rt.publish(Spill(what="entries")), PATIENCE)
        assert entries.state == "dead"
        found = await asyncio.gather(*(rt.sessions.get(one.id, tenant="acme") for one in made))
        assert [one and one.data for one in found] == [{"x": "x" * 900}] * 5


class Silent:
    def info(self, *_: Any, **__: Any) -> None: ...


def test_the_blob_store_may_fail(on_valkey: Deployment, tmp_path: Path) -> None:
    """Nothing can be written: the sessions stay; the next try does it."""
    settings = settings_of(on_valkey, tmp_path / "blobs")
    (tmp_path / "blobs").write_text("no directory")
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        there = fill(rt, 3)
        with pytest.raises(BlobError):
            spill(rt)
        assert rt.sessions.levels(tenant="acme").spilled == 0
        (tmp_path / "blobs").unlink()
        assert spill(rt).sessions == 3
        assert {session: data_of(rt, session) for session in there} == there


def test_to_s3_and_back(on_valkey: Deployment, s3_settings: Callable[..., BlobsSettings]) -> None:
    settings = on_valkey.settings().model_copy(update={"blobs": s3_settings()})
    with riptide.connect(config=settings) as rt:
        there = {rt.sessions.create("ada", {"n": n, "x": "x" * 500}).id: n for n in range(3)}
        assert spill(rt).sessions == 3
        assert {session: data_of(rt, session, "default")["n"] for session in there} == there
        assert spill(rt, 10**9).blobs == 3
        assert not blob_names(settings)


def test_session_ids_stand_in_no_blob_name(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = settings_of(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        (session,) = fill(rt, 1)
        spill(rt)
        assert session not in "".join(blob_names(settings))
        assert session in repr(dump(on_valkey))


def test_workers_spill_by_themselves(on_valkey: Deployment, tmp_path: Path) -> None:
    """Over 80 % of the bound, until it is under that again; and they remove what nobody needs."""
    settings = settings_of(on_valkey, tmp_path, state={"session_memory_bytes": 20_000})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        there = fill(rt, 30)
        keeper = SessionKeeper(settings, "one")
        keeper.start()
        eventually(lambda: rt.sessions.figures().memory_bytes <= 16_000, "sessions to be spilled")
        for session in there:
            rt.sessions.terminate(session, tenant="acme")
        eventually(lambda: not blob_names(settings), "their blobs to be removed")
        keeper.stop()
        keeper.join(PATIENCE)
        assert not keeper.is_alive()


def test_a_full_server_drains_into_the_blob_store(
    private_server: Callable[..., Any], prefix: str, tmp_path: Path
) -> None:
    """It refuses what makes it fuller, gives room by spilling, and still answers what cannot be put back."""
    deployment = Deployment(private_server(aof=False).url, prefix)
    settings = settings_of(deployment, tmp_path, state={"session_memory_bytes": 2**30})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"active_sessions": -1})
        there = fill(rt, 20, size=20_000)
        used = int(deployment.client.info("memory")["used_memory"])
        # Far below: what clients' buffers take is given back at any time.
        deployment.client.config_set("maxmemory", used // 2)
        with pytest.raises(ServerRefused):
            rt.sessions.update(next(iter(there)), {"more": 1}, tenant="acme")
        first = spill(rt, None)
        assert 0 < first.sessions < 20, "a quarter at each look"
        spilled = [one.id for one in rt.sessions.list(tenant="acme") if one.spilled]
        deployment.client.config_set("maxmemory", 1)
        assert data_of(rt, spilled[0]) == there[spilled[0]]
        assert rt.sessions.levels(tenant="acme").total_restored == 0
        assert rt.sessions.touch(spilled[0], tenant="acme")
        assert rt.sessions.terminate(spilled[1], tenant="acme")
        deployment.client.config_set("maxmemory", 0)
        assert data_of(rt, spilled[0]) == there[spilled[0]]
    deployment.close()
