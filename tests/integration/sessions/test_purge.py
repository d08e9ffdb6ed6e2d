"""A purged tenant leaves no session behind, neither on the server nor in the blob store."""

from pathlib import Path

from commands import PurgeTenant, Spill
from riptide.reads.aio_client import aconnect
from riptide.streams.registry import CommandType
from tests.integration.sessions.test_spill import Silent, blob_names, settings_of
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE
from tests.support.workers import running_worker
from workers import HANDLERS

TYPES = [CommandType(model.type, model, HANDLERS[model.type]) for model in (PurgeTenant, Spill)]


async def test_sessions_and_blobs_go_with_their_tenant(deployment: Deployment, tmp_path: Path) -> None:
    settings = settings_of(deployment, tmp_path)
    async with await aconnect(config=settings) as rt, running_worker(settings, TYPES, log=Silent()):
        for tenant in ("acme", "acme2"):
            await rt.tenants.create(tenant)
            for _ in range(3):
                await rt.sessions.create("ada", {"x": "x" * 500}, tenant=tenant)
        await rt.wait(await rt.publish(Spill(keep_bytes=0)), PATIENCE)
        assert len(blob_names(settings)) == 6
        for tenant in ("acme", "acme2"):
            await rt.sessions.create("bob", tenant=tenant)
        await rt.wait(await rt.tenants.delete("acme"), PATIENCE)
        assert not list(deployment.client.scan_iter(f"{deployment.prefix}:session:{{acme}}:*", count=5000))
        assert {name.split("/")[1] for name in blob_names(settings)} == {"acme2"}
        await rt.tenants.create("acme")
        assert not [one async for one in rt.sessions.list(tenant="acme")]
        found = [one async for one in rt.sessions.list(tenant="acme2")]
        assert len(found) == 4
        assert [await rt.sessions.get(one.id, tenant="acme2") for one in found if one.spilled]
