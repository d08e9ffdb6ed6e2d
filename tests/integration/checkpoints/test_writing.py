"""Writing checkpoints, and looking after them."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import riptide
from commands import Checkpoint
from riptide.errors import BlobError, BlobNotFound, Damaged, InvalidInput
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints import names
from riptide.state.checkpoints.shelf import Shelf
from riptide.store.keys import PARTITIONS
from tests.support.checkpointed import Ledger, brought_back, checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.purged import have_everything


def test_all_that_a_tenant_has_comes_back(deployment: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(deployment, tmp_path)
    have_everything(deployment, settings, {"acme": 1, "wide": 4})
    with riptide.connect(config=settings) as rt:
        rt.tenants.update("wide", quotas={"operations_per_minute": 7})
        tenants = [rt.tenants.show(tenant) for tenant in ("acme", "wide")]
        made = rt.checkpoints.create(note="before the loss")
        assert rt.checkpoints.list() == [made]
        assert rt.checkpoints.verify(made.id) == rt.checkpoints.show(made.id) == made
        assert (made.kind, made.note, made.tenants, set(made.positions)) == (
            *("manual", "before the loss", 2),
            set(PARTITIONS),
        )
        before = brought_back(deployment)
        unfinished = made.unfinished

        rehearsed = rt.checkpoints.restore(made.id, dry_run=True)
        assert (rehearsed.tenants, rehearsed.corrected, rehearsed.commands) == ({"unchanged": 2}, 0, 0)
        assert not +rehearsed.items

        forget(deployment)
        rehearsed = rt.checkpoints.restore(made.id, dry_run=True)
        assert rehearsed.tenants == {"created": 2}
        assert not list(deployment.client.scan_iter(f"{deployment.prefix}:*", count=5000))

        report = rt.checkpoints.restore(made.id)
        assert (report.tenants, report.items) == (rehearsed.tenants, rehearsed.items)
        assert (report.corrected, report.commands) == (rehearsed.corrected, unfinished)
        assert brought_back(deployment) == before
        assert [rt.tenants.show(tenant) for tenant in ("acme", "wide")] == tenants
        assert {tenant.id for tenant in rt.tenants.list().tenants} == {"acme", "wide", "default"}
        assert rt.quotas.check("wide", {"data_transfer_bytes": 1}).allowed
        again = rt.checkpoints.restore(made.id)
        assert (again.tenants, again.corrected, again.commands) == ({"unchanged": 2}, 0, 0)
        assert brought_back(deployment) == before


async def test_the_asynchronous_face(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    async with await riptide.aconnect(config=settings) as rt:
        await rt.tenants.create("acme")
        made = await rt.checkpoints.create("emergency")
        assert await rt.checkpoints.list() == [made]
        assert await rt.checkpoints.problems() == []
        assert await rt.checkpoints.verify(made.id) == await rt.checkpoints.show(made.id)
        await asyncio.to_thread(forget, on_valkey)
        report = await rt.checkpoints.restore(made.id, tenants=["acme"])
        assert report.tenants == {"created": 1}


def test_the_newest_are_kept(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path, state={"max_checkpoints": 3})
    shelf = Shelf(settings)
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    late = names.new_id(2**42)
    old, new = (names.content_name(prefix, names.new_content(late, ms)) for ms in (0, 2**42))
    foreign = names.content_name(prefix, f"{late}.20260230T000000Z-00000000.ckpt")
    for orphan in (old, new, foreign):
        blobs.put(orphan, b"what a killed process has left, or one that writes just now")
    made = [shelf.create(id=f"2026112{n}T000000Z-00000000") for n in range(5)]
    assert shelf.ids() == [one.id for one in made[:1:-1]]
    left = {blob.name for blob in blobs.list(names.folder(prefix))}
    kept = {names.manifest_name(prefix, one.id) for one in made[2:]}
    assert left == {new, foreign} | kept | {names.content_name(prefix, one.content) for one in made[2:]}
    assert shelf.create(id=made[-1].id) == made[-1], "it was written before"


class Watching:
    """A blob store that lets a test look before anything is whole."""

    def __init__(self, blobs: Any, look: Any) -> None:
        self._blobs, self._look = blobs, look
        self.place = blobs.place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
        pieces = [data] if isinstance(data, bytes) else data

        def watched() -> Iterator[bytes]:
            for piece in pieces:
                self._look()
                yield piece

        self._blobs.put(name, watched())


def test_one_that_is_being_written_is_not_there(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    seen: list[list[str]] = []
    blobs: Any = Watching(open_blobs(settings.blobs), lambda: seen.append(Shelf(settings).ids()))
    made = Shelf(settings, blobs).create()
    assert len(seen) >= 3
    assert not any(seen)
    assert Shelf(settings).ids() == [made.id]

    def fail() -> None:
        raise OSError(28, "No space left on device")

    full: Any = Watching(open_blobs(settings.blobs), fail)
    with pytest.raises(BlobError, match="No space left"):
        Shelf(settings, full).create()
    assert Shelf(settings).ids() == [made.id]


@pytest.mark.parametrize("name", ["../x", "a/../../b", "20261121T000000Z-0000000g", "", "x" * 300])
def test_what_is_no_id_is_refused(on_valkey: Deployment, tmp_path: Path, name: str) -> None:
    with riptide.connect(config=checkpoint_settings(on_valkey, tmp_path)) as rt:
        for call in (rt.checkpoints.show, rt.checkpoints.verify, rt.checkpoints.restore):
            with pytest.raises(InvalidInput, match="is no id of a checkpoint"):
                call(name)
        with pytest.raises(InvalidInput, match="of kind manual"):
            rt.checkpoints.create("other")
        with pytest.raises(BlobNotFound):
            rt.checkpoints.show("20261121T000000Z-00000000")
    assert Checkpoint().kind == "manual"


def test_another_deployments_checkpoint_is_refused(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    made = Shelf(settings).create()
    other = settings.model_copy(update={"cache": settings.cache.model_copy(update={"key_prefix": "other"})})
    blobs = open_blobs(settings.blobs)
    name = names.manifest_name
    blobs.put(name("other", made.id), blobs.get(name(settings.cache.key_prefix, made.id)))
    with pytest.raises(Damaged, match="another one's"):
        Shelf(other).verify(made.id)


def test_streams_keep_what_no_archive_does(on_valkey: Deployment, tmp_path: Path, rng: Any) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path, streams={"archive": False})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        Ledger(on_valkey, ["acme"], rng).add(3)
        made = rt.checkpoints.create()
    floors = {p: on_valkey.client.hget(on_valkey.keys.floor(p), "record_usage").decode() for p in PARTITIONS}
    assert floors == made.positions
    assert made.unfinished == 3
    Shelf(checkpoint_settings(on_valkey, tmp_path)).create()
    assert not any(on_valkey.client.exists(on_valkey.keys.floor(p)) for p in PARTITIONS)
