"""What is damaged is refused as a whole, and nothing is changed."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from riptide.config import Settings
from riptide.errors import Damaged
from riptide.state.archive.names import segments
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints import names
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from tests.integration.checkpoints.test_restoring import create
from tests.support.archives import archiving, wait_archived
from tests.support.checkpointed import Ledger, checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.usage import KIND

_SAMPLES = 12


def versions(data: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    for _ in range(_SAMPLES):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        yield f"bit {bit} of byte {at} flipped", data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
        yield f"cut after {at}", data[:at]


def test_damage_is_refused_before_anything_is_touched(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    create(settings, "acme", "umbrella")
    ledger, shelf, blobs = (
        Ledger(on_valkey, ["acme", "umbrella"], rng),
        Shelf(settings),
        open_blobs(settings.blobs),
    )
    with archiving(settings):
        ledger.add(20)
        made = shelf.create()
        ledger.add(20)
        wait_archived(settings, KIND)
    forget(on_valkey)
    prefix = settings.cache.key_prefix
    blob_names = [names.content_name(prefix, made.content), names.manifest_name(prefix, made.id)]
    blob_names += [next(segments(blobs, prefix, KIND)).name]
    for name in blob_names:
        whole = blobs.get(name)
        for how, data in versions(whole, rng):
            blobs.put(name, data)
            for dry_run in (True, False):
                with pytest.raises(Damaged, match=r"is damaged|is not complete"):
                    restore(settings, shelf, made.id, dry_run=dry_run)
            assert not _keys(on_valkey), f"{name}: {how}"
        blobs.put(name, whole)
    blobs.delete(names.content_name(prefix, made.content))
    with pytest.raises(Damaged, match="its content is missing"):
        restore(settings, shelf, made.id)
    assert not _keys(on_valkey)


def test_an_archive_with_a_gap_is_refused(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    create(settings, "acme")
    ledger, shelf, blobs = Ledger(on_valkey, ["acme"], rng), Shelf(settings), open_blobs(settings.blobs)
    made = shelf.create()
    for _ in range(3):
        with archiving(settings):
            ledger.add(5)
            wait_archived(settings, KIND)
    found = list(segments(blobs, settings.cache.key_prefix, KIND))
    forget(on_valkey)
    blobs.delete(found[1].name)
    with pytest.raises(Damaged, match=f"the archive is not complete: {KIND}"):
        restore(settings, shelf, made.id)
    assert not _keys(on_valkey)
    _says(settings, made.id)


def _says(settings: Settings, checkpoint: str) -> None:
    """A checkpoint with a damaged manifest is named where checkpoints are listed."""
    blobs = open_blobs(settings.blobs)
    blobs.put(names.manifest_name(settings.cache.key_prefix, checkpoint), b"{}")
    found, problems = Shelf(settings).list()
    assert not found
    assert [checkpoint in problem for problem in problems] == [True]


def _keys(deployment: Deployment) -> list[bytes]:
    return list(deployment.client.scan_iter(f"{deployment.prefix}:*", count=5000))
