"""What operators see and do: state, checkpoints, streams, dead letters, cache."""

from pathlib import Path

from riptide.store.keys import PARTITIONS
from tests.integration.api.conftest import TENANT, Api, started
from tests.support.deployment import Deployment
from tests.support.waiting import aeventually
from tests.support.workers import running_worker

DEAD = 5


async def test_state_and_checkpoints(api: Api) -> None:
    await api.rt.sessions.create("ada", {"n": 1}, tenant=TENANT)
    made = [await api.rt.checkpoints.create(note=note) for note in ("one", "two")]
    first, second = sorted(made, key=lambda one: one.id)  # two of one second come in any order
    async with api.by("admin") as client:
        state = (await client.get("/admin/state/current")).json()
        assert state["last_checkpoint"]["id"] == second.id
        assert state["memory"]["sessions"]["items"] == 1
        assert state["spill"]["entries"]["total_spilled"] == 0
        assert state["configuration"] == {"current": None, "own": None, "needs_restart": []}
        page = (await client.get("/admin/state/checkpoints?limit=1")).json()
        assert ([one["note"] for one in page["checkpoints"]], page["cursor"]) == ([second.note], second.id)
        rest = (await client.get(f"/admin/state/checkpoints?cursor={page['cursor']}")).json()
        assert ([one["id"] for one in rest["checkpoints"]], rest["cursor"]) == ([first.id], None)
        named = await client.post(f"/admin/state/restore/{first.id}", json={"tenants": [TENANT]})
        assert named.status_code == 202, named.text
        told = await client.post("/admin/state/restore", json={"checkpoint": first.id, "dry_run": True})
        assert told.status_code == 202
        none = await client.post("/admin/state/restore/20261120T120500Z-1f3a9c07")
        assert (none.status_code, none.json()["type"]) == (404, "urn:riptide:problem:not-in-blob-store")


async def test_streams_and_dead_letters(on_valkey: Deployment, blobs: Path) -> None:
    async with started(on_valkey, blobs) as api, api.by("operator") as client:
        for _ in range(DEAD):
            on_valkey.add("effect", {"body": "no JSON"})
        async with running_worker(api.rt.settings):

            async def all_dead() -> bool:
                return len(on_valkey.letters("effect")) == DEAD

            await aeventually(all_dead, "the dead letters")
        streams = (await client.get("/admin/streams")).json()["streams"]
        assert {row["type"]: row["dead"] for row in streams}["effect"] == DEAD
        page = (await client.get("/admin/dead?limit=3")).json()
        rest = (await client.get(f"/admin/dead?limit=3&cursor={page['cursor']}")).json()
        refs = [one["ref"] for one in page["dead"] + rest["dead"]]
        assert (len(set(refs)), rest["cursor"]) == (DEAD, None)
        assert (await client.get("/admin/dead?error=nobody+said+that")).json() == {"dead": [], "cursor": None}
        assert (await client.get("/admin/dead?type=nonsense")).status_code == 404
        for nothing in ({}, {"refs": refs, "error": "nobody said that"}, {"refs": refs, "type": "warm"}):
            assert (await client.post("/admin/dead/drop", json=nothing)).json()["done"] == 0
        both = {"refs": [refs[0], "effect.10.1-1"]}
        assert (await client.post("/admin/dead/drop", json=both)).json() == {
            "done": 1,
            "gone": 1,
            "more": False,
        }
        retried = await client.post("/admin/dead/retry", json={"type": "effect"})
        assert retried.json()["done"] == DEAD - 1
        assert on_valkey.letters("effect") == []


async def test_nobody_brings_back_what_they_may_not_publish(on_valkey: Deployment, blobs: Path) -> None:
    """A restore is an admin's: also one that an admin asked for long ago."""
    async with started(on_valkey, blobs) as api:
        on_valkey.add("effect", {"body": "no JSON"})
        async with running_worker(api.rt.settings):

            async def dead() -> bool:
                return bool(on_valkey.letters("effect"))

            await aeventually(dead, "the dead letter")
        (letter,) = on_valkey.letters("effect")
        on_valkey.client.xadd(on_valkey.keys.dead("restore", PARTITIONS[0]), dict(letter))
        async with api.by("operator") as operator, api.by("admin") as admin:
            (ref,) = [one["ref"] for one in (await operator.get("/admin/dead?type=restore")).json()["dead"]]
            for named in ({"type": "restore"}, {"refs": [ref]}):
                assert (await operator.post("/admin/dead/retry", json=named)).status_code == 403
            done = await operator.post("/admin/dead/retry", json={"all": True})
            assert (done.json()["done"], len(on_valkey.letters("restore"))) == (1, 1)
            assert (await admin.post("/admin/dead/retry", json={"refs": [ref]})).json()["done"] == 1


async def test_cache(api: Api) -> None:
    await api.rt.cache.set("page", 1, tenant=TENANT)
    async with api.by("operator") as client:
        stats = (await client.get(f"/admin/cache/stats?tenant={TENANT}")).json()
        assert stats["total_keys"] == 1
        for path, body in (("warm", {"source": "popular"}), ("invalidate", {"tags": ["a"]}), ("clear", None)):
            answer = await client.post(f"/admin/cache/{path}?tenant={TENANT}", json=body)
            assert answer.status_code == 202, answer.text


async def test_who_is_there_is_listed(on_valkey: Deployment, blobs: Path) -> None:
    async with (
        started(on_valkey, blobs) as api,
        running_worker(api.rt.settings),
        api.by("viewer") as client,
    ):
        members = (await client.get("/admin/state/current")).json()["members"]
        assert [one["role"] for one in members] == ["worker"]
