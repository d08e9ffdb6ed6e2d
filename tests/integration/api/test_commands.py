"""`/commands`, and what else publishes."""

import asyncio
from pathlib import Path

from tests.integration.api.conftest import TENANT, Api, started
from tests.support.deployment import Deployment
from tests.support.waiting import aeventually
from tests.support.workers import running_worker


async def test_publish_show_cancel(api: Api) -> None:
    async with api.by("operator") as client:
        made = await client.post("/commands/warm?tenant=acme", json={"keys": ["a"]})
        ref = made.json()["ref"]
        assert (made.status_code, made.json()) == (202, {"ref": ref})
        assert made.headers["Location"] == f"/commands/{ref}"
        assert (await client.get(f"/commands/{ref}")).json() == {"ref": ref, "state": "queued"}
        waited = await client.get(f"/commands/{ref}?wait=0.05")
        assert waited.json()["state"] == "queued"
        assert (await client.delete(f"/commands/{ref}")).json()["state"] == "cancelled"
        assert (await client.delete(f"/commands/{ref}")).status_code == 200
        later = await client.post("/commands/warm?tenant=acme&delay=3600", json={"keys": ["b"]})
        shown = (await client.get(later.headers["Location"])).json()
        assert shown["state"] in {"queued", "scheduled"}
        unknown = await client.get("/commands/warm.10.1-1")
        assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:riptide:problem:unknown-reference")


async def test_the_same_idempotency_key_publishes_once(api: Api) -> None:
    async with api.by("operator") as client:
        headers = {"Idempotency-Key": "job-7"}
        refs = [
            (await client.post(url, json=body, headers=headers)).json()["ref"]
            for url, body in (
                ("/commands/warm?tenant=acme", {"keys": ["a"]}),
                ("/commands/warm?tenant=acme", {"keys": ["a"]}),
                ("/admin/cache/warm?tenant=acme", {"keys": ["a"]}),
                ("/commands/warm?tenant=umbrella", {"keys": ["a"]}),
                ("/admin/state/checkpoint", {}),
                ("/admin/state/checkpoint", {}),
            )
        ]
    assert refs[0] == refs[1] == refs[2] != refs[3]
    assert refs[4] == refs[5]


async def test_waiting_tells_how_it_ended(on_valkey: Deployment, blobs: Path) -> None:
    async with (
        started(on_valkey, blobs) as api,
        running_worker(api.rt.settings),
        api.by("operator") as client,
    ):
        url = f"/commands/effect?tenant={TENANT}&wait=30"
        done = await client.post(url, json={"into": f"{on_valkey.prefix}:done"})
        assert done.status_code == 200, done.text
        assert done.json()["state"] == "done"


async def test_waiting_ends_when_the_process_stops(api: Api) -> None:
    async with api.by("operator") as client:
        asked = client.post("/commands/warm?tenant=acme&wait=25", json={"keys": ["a"]})
        waiting = asyncio.ensure_future(asked)

        async def on_the_way() -> bool:
            return bool(api.app.state.desk.stopping._waiters)

        await aeventually(on_the_way, "somebody to wait")
        api.app.state.desk.stopping.set()
        answer = await waiting
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")
        assert (await client.get("/health/ready")).json()["type"].endswith("not-ready")


async def test_what_is_no_command_is_refused(api: Api) -> None:
    async with api.by("operator") as client:
        unknown = await client.post("/commands/nonsense", json={})
        assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:riptide:problem:unknown-command")
        assert "warm" in unknown.json()["detail"]
        for url, body, status in (
            ("/commands/warm?tenant=acme", "{}", 422),
            ("/commands/warm?tenant=acme", "[" * 100_000, 422),
            ("/commands/warm?tenant=acme", "", 422),
            ("/commands/warm", '{"keys": ["a"]}', 422),
            ("/commands/warm?tenant=A", '{"keys": ["a"]}', 422),
            ("/commands/warm?tenant=acme&at=9999-11-21T12:00:00Z", '{"keys": ["a"]}', 422),
            ("/commands/warm.10.1-1", "{}", 405),
        ):
            answer = await client.post(url, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, (url, answer.text)
            assert answer.headers["Content-Type"] == "application/problem+json"
        form = await client.post("/commands/warm?tenant=acme", data={"keys": "a"})
        assert form.status_code == 415
