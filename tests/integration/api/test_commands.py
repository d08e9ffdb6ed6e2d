"""`/commands`, and what else publishes."""

import asyncio
from pathlib import Path

import pytest

from riptide.errors import ServerUnavailable
from riptide.streams.status import Status
from tests.integration.api.conftest import OTHER, TENANT, Api, started
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


async def test_a_tenant_cannot_use_up_the_key_of_a_service(api: Api) -> None:
    """What the service records with it later would not be counted."""
    url, body = f"/commands/record_usage?tenant={TENANT}", {"operation": "page.render"}
    async with api.by("tenant") as client:
        refs = [
            (await client.post(url, json=body, headers={"Idempotency-Key": "page-1"})).json()["ref"]
            for _ in range(2)
        ]
    assert refs[0] == refs[1] != str(await api.rt.usage.record(TENANT, "page.render", key="page-1"))


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
            return bool(api.app.state.desk.waiting)

        await aeventually(on_the_way, "somebody to wait")
        api.app.state.desk.stopping.set()
        answer = await waiting
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")
        assert (await client.get("/health/ready")).json()["type"].endswith("not-ready")


async def test_who_waits_leaves_room_for_others(on_valkey: Deployment, blobs: Path) -> None:
    """Whoever has a key may wait as often as they like: at most half of the places are for that."""
    url = f"/commands/warm?tenant={TENANT}&wait=600"
    many = {"max_requests": 4, "request_timeout_seconds": 600, "max_wait_seconds": 600}
    async with started(on_valkey, blobs, api=many) as api, api.by("tenant") as client:
        desk = api.app.state.desk
        waiting = [asyncio.ensure_future(client.post(url, json={"keys": ["a"]})) for _ in range(2)]

        async def on_the_way() -> bool:
            return len(desk.waiting) == 2

        await aeventually(on_the_way, "two to wait")
        for _ in range(4):
            told = await client.post(url, json={"keys": ["a"]})
            assert (told.status_code, told.json()["state"]) == (202, "queued")
        desk.stopping.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [202, 202]
        assert not desk.waiting


async def test_what_was_published_is_told_though_nobody_can_be_asked_how_it_stands(
    api: Api, on_valkey: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> Status:
        raise ServerUnavailable("it is away", maybe_done=False)

    monkeypatch.setattr(api.rt, "wait", away)
    async with api.by("operator") as client:
        made = await client.post(f"/commands/warm?tenant={TENANT}&wait=5", json={"keys": ["a"]})
        (entry,) = [entry for _, entry, _ in on_valkey.entries("warm")]
        assert made.status_code == 202
        assert made.json()["ref"].endswith(f".{entry}")
        assert (await client.get(f"{made.headers['Location']}?wait=5")).status_code == 503


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


async def test_what_a_tenant_publishes_counts_for_its_quota(api: Api) -> None:
    """Or it could fill the streams that all share."""
    await api.rt.tenants.update(OTHER, quotas={"operations_per_minute": 0})
    await api.rt.tenants.update(TENANT, quotas={"operations_per_minute": 2})
    url = f"/commands/warm?tenant={TENANT}"
    async with api.by("tenant") as client:
        answers = [await client.post(url, json={"keys": ["a"]}) for _ in range(3)]
        await api.rt.tenants.update(TENANT, quotas={"operations_per_minute": 0})
        never = await client.post(url, json={"keys": ["a"]})
    assert [one.status_code for one in answers] == [202, 202, 429]
    assert answers[-1].json()["type"] == "urn:riptide:problem:quota-exceeded"
    assert (never.status_code, never.headers["Retry-After"]) == (429, "60")
    async with api.by("operator") as client:
        assert (await client.post(f"/commands/warm?tenant={OTHER}", json={"keys": ["a"]})).status_code == 202
