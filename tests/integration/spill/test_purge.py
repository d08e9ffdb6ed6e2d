"""A purged tenant leaves no spilled entry behind, neither on the server nor in the blob store."""

import random
from pathlib import Path

from commands import PurgeTenant
from riptide.reads.aio_client import aconnect
from riptide.streams.registry import CommandType
from tests.integration.spill.test_entries import Silent, noise
from tests.support.deployment import Deployment
from tests.support.spilled import blob_names, spill_in_thread, spilling_settings
from tests.support.waiting import PATIENCE
from tests.support.workers import running_worker
from workers import HANDLERS

TYPES = [CommandType(PurgeTenant.type, PurgeTenant, HANDLERS[PurgeTenant.type])]


async def test_entries_and_blobs_go_with_their_tenant(
    deployment: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = spilling_settings(deployment, tmp_path)
    async with await aconnect(config=settings) as rt, running_worker(settings, TYPES, log=Silent()):
        for tenant in ("acme", "acme2"):
            await rt.tenants.create(tenant, shards=2)
            await rt.cache.set_many({f"k{n}": noise(rng) for n in range(3)}, tenant=tenant)
        await spill_in_thread(settings)
        assert len(blob_names(settings)) == 6
        await rt.wait(await rt.tenants.delete("acme"), PATIENCE)
        assert {name.split("/")[1] for name in blob_names(settings)} == {"acme2"}
        left = deployment.client.scan_iter(f"{deployment.prefix}:account:{{acme*", count=5000)
        assert not [name for name in left if b"{acme}" in name or b"{acme." in name]
        await rt.tenants.create("acme")
        assert await rt.cache.get("k0", tenant="acme") is None
        assert await rt.cache.get("k0", tenant="acme2")
        assert (await rt.cache.figures()).spilled == 2
