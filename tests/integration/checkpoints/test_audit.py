"""Checkpoints and restores in the audit trail: who, which one, and what became of it."""

from pathlib import Path

import pytest

import riptide
from riptide.errors import Damaged, InvalidInput
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints import names
from riptide.state.checkpoints.shelf import Shelf
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment


def trail(rt: RipTide, tenant: str | None, operation: str) -> list[tuple[str, str, str]]:
    records = rt.tenants.audit(tenant, operation=operation).records
    return [(one.tenant_id, one.actor, one.resource) for one in records]


def test_who_did_what(deployment: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        for tenant in ("acme", "globex"):
            rt.tenants.create(tenant, actor="the founder")
        Shelf(settings).create("shutdown")
        Shelf(settings).create("scheduled", actor="command:checkpoint.1.1-0")
        assert not trail(rt, None, "checkpoint"), "nobody asked for these"
        made = rt.checkpoints.create(actor="ann")
        assert trail(rt, None, "checkpoint") == [("*", "ann", made.id)]
        forget(deployment)
        rt.checkpoints.restore(made.id, dry_run=True, actor="ann")
        assert not trail(rt, None, "restore")
        rt.checkpoints.restore(made.id, actor="bob")
        assert trail(rt, None, "restore") == [("*", "bob", made.id)]
        assert trail(rt, "acme", "restore") == []
        assert trail(rt, None, "create") == [
            ("globex", "the founder", "tenant"),
            ("acme", "the founder", "tenant"),
        ]
        (record,) = rt.tenants.audit(None, operation="restore").records
        assert (record.result, record.metadata["tenants"]) == ("ok", {"created": 2})

        rt.checkpoints.restore(made.id, tenants=["acme"])
        (newest, _) = rt.tenants.audit(None, operation="restore").records
        assert newest.metadata["chosen"] == ["acme"]
        assert newest.actor.startswith("library:")
        assert trail(rt, "acme", "restore") == [("acme", newest.actor, made.id)]
        assert trail(rt, "globex", "restore") == []
        with pytest.raises(InvalidInput, match="actor is a text"):
            rt.checkpoints.restore(made.id, actor="")


def test_what_is_refused_changes_no_trail(on_valkey: Deployment, tmp_path: Path) -> None:
    """Else the older records of a lost trail could not be put back any more."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        made, damaged = rt.checkpoints.create(), rt.checkpoints.create()
        open_blobs(settings.blobs).put(names.content_name(on_valkey.prefix, damaged.content), b"RTCKP")
        forget(on_valkey)
        with pytest.raises(Damaged):
            rt.checkpoints.restore(damaged.id)
        assert not rt.tenants.audit(None).records
        rt.checkpoints.restore(made.id)
        assert [one.operation for one in rt.tenants.audit(None).records] == ["restore", "create"]
