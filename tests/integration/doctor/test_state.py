"""Checks of what is written down, of the configuration and of tenants."""

from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config.document import Document
from riptide.doctor import state
from riptide.reads.assembly import assemble
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints.names import manifest_name
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.live.versions import Versions
from riptide.store.keys import PARTITIONS
from riptide.store.sync import open_store
from tests.integration.doctor.conftest import Practice
from tests.support.workers import ROOT


def test_the_blob_store(doctor: Practice, tmp_path: Path) -> None:
    assert "made by the first write" in doctor("state.blobs").findings[0].seen
    (tmp_path / "taken").write_text("a file")
    assert "is no directory that this user may write" in doctor.said(
        "state.blobs", blobs={"url": str(tmp_path / "taken/blobs")}
    )
    nowhere = {"url": "s3://bucket", "s3_endpoint": "http://127.0.0.1:9", "s3_region": "x"}
    keys = {"s3_access_key_id": "id", "s3_secret_access_key": "secret"}
    said = doctor.said("state.blobs", blobs=nowhere | keys)
    assert said
    assert "secret" not in said


def test_the_archive(doctor: Practice) -> None:
    assert doctor.level("state.archive") == "ok"
    assert doctor.level("state.archive", streams={"archive": False}) == "skipped"
    key = doctor.deployment.keys.commands("record_usage", PARTITIONS[0])
    doctor.deployment.client.xadd(key, {"id": "1"}, id="1000-0")
    said = doctor.said("state.archive")
    assert said.startswith("fail: 1 record_usage wait for the archive")
    doctor.deployment.client.delete(key)
    assert doctor.level("state.archive") == "ok"


def test_checkpoints(doctor: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is none" in doctor.said("state.checkpoints")
    settings = doctor.loaded().settings
    Shelf(settings).create()
    assert doctor.level("state.checkpoints") == "ok"
    with monkeypatch.context() as patch:
        patch.setattr(state, "_INTERVALS", 0)
        patch.setattr(state, "_WRITING_SECONDS", -1)
        assert "riptide checkpoint create" in doctor.said("state.checkpoints")
    Shelf(settings).create("emergency", "memory is full")
    assert "is an emergency's: memory is full" in doctor.said("state.checkpoints")
    blobs = open_blobs(settings.blobs)
    newest = Shelf(settings).ids()[0]
    blobs.put(manifest_name(settings.cache.key_prefix, newest), b"not what it was")
    assert "fail: checkpoint" in doctor.said("state.checkpoints")


def test_the_configuration_of_this_host(doctor: Practice, tmp_path: Path) -> None:
    assert doctor.level("config.file") == "ok"
    assert "has no meaning here" in doctor.said("config.file", {"POOL_MIN_SIZE": "3"})
    (tmp_path / "plans.yml").write_text("plans: nonsense\n")
    said = doctor.said("config.file", tenant={"plans_file": str(tmp_path / "plans.yml")})
    assert said.startswith("fail")
    assert "riptide config check" in said
    key = {"ENCRYPTION_KEY": "1:short"}
    said = doctor.said("config.file", key, security={"encryption_key": "${ENCRYPTION_KEY}"})
    assert "short" not in said


def test_versions_of_the_configuration(doctor: Practice) -> None:
    assert "no version yet" in doctor("config.version").findings[0].seen
    store = open_store(doctor.loaded().settings)
    versions = Versions(doctor.deployment.keys)
    store.run(versions.accept("1-1", Document({"cache.default_ttl_seconds": 5}), "host:file"))
    said = doctor.said("config.version")
    assert "is not what runs" in said
    assert "riptide config apply" in said
    parts = assemble(None, doctor.loaded().settings)
    document, _ = parts.configuration._document(doctor.loaded().path)
    store.run(versions.accept("2-1", document, "host:file"))
    assert doctor.level("config.version") == "ok", doctor.said("config.version")
    store.run(versions.refuse("other:file", "cut off", 1))
    assert "cut off" in doctor.said("config.version")
    store.close()


def test_tenants(doctor: Practice, tmp_path: Path) -> None:
    assert doctor.level("tenants.records") == "skipped"
    on: dict[str, Any] = {"tenant": {"enabled": True, "isolation_level": "logical"}}
    with riptide.connect(config=doctor.deployment.settings(**on)) as rt:
        rt.tenants.create("acme", plan="basic")
        assert doctor.level("tenants.records", **on) == "ok"
        rt.cache.set("k", 1, tenant="stray")
        assert "1 tenants hold entries and have no record: stray" in doctor.said("tenants.records", **on)
        rt.tenants.create("stray")
        plans = (ROOT / "config/plans.yml").read_text("utf-8").replace("  basic:", "  other:")
        (tmp_path / "plans.yml").write_text(plans)
        lacking: dict[str, Any] = {"tenant": on["tenant"] | {"plans_file": str(tmp_path / "plans.yml")}}
        said = doctor.said("tenants.records", **lacking)
        assert "1 tenants have a plan that" in said
        assert "acme" in said
