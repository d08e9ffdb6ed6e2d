"""Sessions that come back: counted as they are, to the byte, and with their data, wherever that was."""

import random
from pathlib import Path

import pytest

import riptide
from riptide.config import Settings
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from tests.faults.state.test_stores import spill
from tests.support.books import Crowd, SessionClerk
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment

pytestmark = pytest.mark.faults

TENANTS = ("acme", "umbrella")
_OVERHEAD = 320  # by which a session counts beside its fields


def make(settings: Settings) -> None:
    with riptide.connect(config=settings) as rt:
        for tenant in TENANTS:
            rt.tenants.create(tenant, quotas={"active_sessions": 200})


def counted_as_they_are(deployment: Deployment, rt: RipTide) -> None:
    for tenant in TENANTS:
        ids = [one.id for one in rt.sessions.list(tenant=tenant)]
        sizes = [int(deployment.client.hget(deployment.keys.session(tenant, one), "size")) for one in ids]
        levels = rt.sessions.levels(tenant=tenant)
        assert (levels.sessions, levels.memory_bytes) == (len(ids), sum(sizes) + _OVERHEAD * len(ids))
        spilled = sum(one.spilled for one in rt.sessions.list(tenant=tenant))
        assert levels.spilled == spilled


def test_the_accounts_after_a_loss_under_load(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    make(settings)
    clerk = SessionClerk(settings, TENANTS, f"{rng.random()}")
    with Crowd(clerk) as crowd:
        crowd.go_on(60)
        made = Shelf(settings).create()
        crowd.go_on(60)
    crowd.check()
    forget(on_valkey)
    restore(settings, Shelf(settings), made.id)
    with riptide.connect(config=settings) as rt:
        counted_as_they_are(on_valkey, rt)


def test_the_accounts_after_a_restore_on_a_living_server(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    make(settings)
    with riptide.connect(config=settings) as rt:
        ids = [rt.sessions.create("ada", {"n": n}, tenant="acme").id for n in range(20)]
        made = rt.checkpoints.create()
        for one in rng.sample(ids, 8):
            rt.sessions.terminate(one, tenant="acme")
        for n in range(3):
            rt.sessions.create("bob", {"n": n}, tenant="acme")
        rt.checkpoints.restore(made.id, tenants=["acme"])
        counted_as_they_are(on_valkey, rt)
        assert all(rt.sessions.get(one, tenant="acme") for one in ids)


def test_spilled_sessions_whose_blobs_are_gone_since(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    make(settings)
    with riptide.connect(config=settings) as rt:
        made = [rt.sessions.create("ada", {"n": n, "x": "x" * 500}, tenant="acme") for n in range(5)]
        assert spill(rt) == 5
        checkpoint = rt.checkpoints.create()
        forget(on_valkey)
        blobs = open_blobs(settings.blobs)
        for blob in list(blobs.list("sessions/")):
            blobs.delete(blob.name)
        rt.checkpoints.restore(checkpoint.id)
        for one in made:
            found = rt.sessions.get(one.id, tenant="acme")
            assert found is not None
            assert found.data == one.data
        counted_as_they_are(on_valkey, rt)
