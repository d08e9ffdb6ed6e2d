"""What was read most, in checkpoints: it comes back after a loss, and is warmed by."""

import json
from pathlib import Path

import pytest

import riptide
from riptide.store.keys import PARTITIONS, partition_of
from tests.integration.purge.test_purging import purge
from tests.support.access import add, drain, keys_of
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment

READS = {f"k{number}": number for number in range(1, 1500)}


async def test_it_comes_back(deployment: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(deployment, tmp_path)
    warming = checkpoint_settings(deployment, tmp_path, cache={"enable_warming": True})
    with riptide.connect(config=warming) as rt:
        rt.tenants.create("acme")
        add(deployment, "acme", keys=READS, load_us={"k7": 70}, namespace="pages")
        add(deployment, "acme", keys={"k1": 5}, namespace="pages", partition=other_than("acme"))
        add(deployment, "default", keys={"mine": 3})
        await drain(deployment, settings)
        made = rt.checkpoints.create()
        before = {row.key: row for row in rt.cache.popular("acme", top=10_000)}
        assert before.keys() == READS.keys()
        forget(deployment)
        for _ in range(2):  # done again it changes nothing
            rt.checkpoints.restore(made.id)
            after = {row.key: row for row in rt.cache.popular("acme", top=10_000)}
            assert after.keys() == before.keys()
            assert all(after[key].reads == pytest.approx(row.reads, rel=0.01) for key, row in before.items())
        bodies = [json.loads(fields[b"body"]) for _, _, fields in deployment.entries("warm")]
        assert bodies == [{"source": "all", "every_tenant": True}], "asked for once"
        assert (after["k7"].load_us, after["k8"].load_us) == (70, None)
        assert [row.key for row in rt.cache.popular("default")] == ["mine"]

        # What is known already is not less than it was.
        add(deployment, "acme", keys={"k1": 9999}, namespace="pages")
        await drain(deployment, settings)
        rt.checkpoints.restore(made.id)
        [first, *_] = rt.cache.popular("acme", top=1)
        assert first.key == "k1"
        assert first.reads == pytest.approx(10_005, rel=0.01)


async def test_of_one_tenant_alone_and_of_no_purged_one(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    tenants = ["acme", "globex", "umbrella"]
    with riptide.connect(config=settings) as rt:
        for tenant in tenants:
            rt.tenants.create(tenant)
            add(on_valkey, tenant, keys={"k": 1})
        await drain(on_valkey, settings)
        made = rt.checkpoints.create()
        had = {name for name in keys_of(on_valkey, tenants) if name.endswith(":popular")}
        assert len(had) == len(tenants)
        forget(on_valkey)
        rt.checkpoints.restore(made.id, tenants=["globex"])
        assert not on_valkey.entries("warm"), "warming is off here"
        assert keys_of(on_valkey, tenants) == {name for name in had if "globex" in name}
        rt.checkpoints.restore(made.id)
        assert keys_of(on_valkey, tenants) == had
        await purge(settings, "umbrella")
        rt.checkpoints.restore(made.id)
        assert keys_of(on_valkey, tenants) == {name for name in had if "umbrella" not in name}


def other_than(tenant: str) -> str:
    return next(partition for partition in PARTITIONS if partition != partition_of(tenant))
