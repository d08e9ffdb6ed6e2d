"""Blob stores that fail: a disk that is full, an S3 that answers 500, hangs or breaks off. The error says
what it is, nothing is lost, and the next try does it."""

import random
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config import BlobsSettings, Settings
from riptide.errors import BlobError, ServerUnavailable
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs, s3
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from riptide.state.spill.spilling import Spilling
from riptide.store.keys import Keys
from tests.integration.checkpoints.test_restoring import create
from tests.servers import ServerProcess
from tests.support.archives import archiving, wait_archived
from tests.support.checkpointed import Ledger, checkpoint_settings, forget
from tests.support.cli import CommandLine
from tests.support.deployment import Deployment
from tests.support.faulty_s3 import FaultyS3
from tests.support.purged import dump, have_everything
from tests.support.s3 import SECRET
from tests.support.usage import KIND

pytestmark = pytest.mark.faults

MEGABYTE = 1024**2


@pytest.fixture
def faulty(s3_settings: Callable[..., BlobsSettings], monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """An S3 whose clients lose their patience after some seconds."""
    monkeypatch.setattr(s3, "_PATIENCE", timedelta(seconds=3))
    with FaultyS3(s3_settings()) as found:
        yield found


def in_s3(deployment: Deployment, directory: Path, faulty: FaultyS3) -> Settings:
    return checkpoint_settings(deployment, directory).model_copy(update={"blobs": faulty.settings})


def clear(error: BaseException) -> bool:
    """It names the store, and no secret."""
    return "s3://" in str(error) and SECRET not in str(error)


def writes(method: str, _path: str) -> bool:
    return method in {"PUT", "POST"}


def reads(method: str, _path: str) -> bool:
    return method == "GET"


FAULTS = {
    "500": lambda faulty, which: setattr(faulty, "fails", which),
    "hangs": lambda faulty, which: setattr(faulty, "hangs", which),
}


@pytest.mark.parametrize(("fault", "which"), [("500", ".ckpt"), ("500", ".json"), ("hangs", ".ckpt")])
def test_a_checkpoint_that_cannot_be_stored(
    on_valkey: Deployment, tmp_path: Path, faulty: FaultyS3, fault: str, which: str
) -> None:
    settings = in_s3(on_valkey, tmp_path, faulty)
    create(settings, "acme")
    shelf = Shelf(settings)
    made = shelf.create()
    FAULTS[fault](faulty, lambda method, path: writes(method, path) and which in path)
    with pytest.raises(BlobError) as caught:
        shelf.create()
    assert clear(caught.value)
    assert shelf.list() == ([made], []), "it is not there, and nothing is wrong with the others"
    faulty.heal()
    again = shelf.create()
    assert shelf.ids() == [again.id, made.id]
    assert shelf.verify(again.id) == again


def test_a_checkpoint_in_an_s3_that_is_slow_and_fails_now_and_then(
    on_valkey: Deployment, tmp_path: Path, faulty: FaultyS3, rng: random.Random
) -> None:
    settings = in_s3(on_valkey, tmp_path, faulty)
    create(settings, "acme")
    shelf = Shelf(settings)
    faulty.delay = 0.02
    seen: set[tuple[str, str]] = set()

    def first_time(method: str, path: str) -> bool:
        asked = method, path
        return asked not in seen and not seen.add(asked)  # type: ignore[func-returns-value]

    faulty.fails = first_time
    made = shelf.create()
    assert shelf.verify(made.id) == made
    forget(on_valkey)
    assert restore(settings, shelf, made.id).tenants == {"created": 1}
    assert faulty.failed >= 4


@pytest.mark.parametrize(
    ("fault", "which"),
    [("500", ".ckpt"), ("500", ".seg"), ("500", "list-type"), ("breaks", ".ckpt"), ("breaks", ".seg")],
)
def test_a_restore_that_cannot_read(
    on_valkey: Deployment, tmp_path: Path, faulty: FaultyS3, rng: random.Random, fault: str, which: str
) -> None:
    settings = in_s3(on_valkey, tmp_path, faulty)
    create(settings, "acme")
    shelf, ledger = Shelf(settings), Ledger(on_valkey, ["acme"], rng)
    made = shelf.create()
    with archiving(settings):
        ledger.add(20)
        wait_archived(settings, KIND)
    before = dump(on_valkey)

    def concerns(method: str, path: str) -> bool:
        return reads(method, path) and which in path

    faults: dict[str, Any] = FAULTS | {"breaks": lambda faulty, which: setattr(faulty, "breaks", which)}
    faults[fault](faulty, concerns)
    with pytest.raises(BlobError) as caught:
        restore(settings, shelf, made.id, tenants=rng.choice([None, ["acme"]]))
    assert clear(caught.value)
    assert dump(on_valkey) == before
    faulty.heal()
    forget(on_valkey)
    restore(settings, shelf, made.id)
    ledger.check()


def test_the_server_ends_while_a_checkpoint_goes_to_s3(
    private_server: Callable[..., ServerProcess], prefix: str, tmp_path: Path, faulty: FaultyS3
) -> None:
    """What is raised is what happened, and nothing of it is in the store."""
    server = private_server(aof=False)
    deployment = Deployment(server.url, prefix)
    settings = in_s3(deployment, tmp_path, faulty)
    have_everything(deployment, settings, {"acme": 1})

    def told(*_: Any) -> None:
        if server.running:
            server.kill()

    with pytest.raises(ServerUnavailable):
        Shelf(settings).create(told=told)
    assert not list(open_blobs(settings.blobs).list("checkpoint/"))
    deployment.close()


# Spilled sessions


def spill(rt: RipTide) -> int:
    spilling = Spilling(Keys(rt.settings.cache.key_prefix), rt.settings, lambda function: function())
    return rt.store.drive(spilling.spill(None, 0, lambda *_: None)).sessions


def data_of(rt: RipTide, ids: dict[str, Any]) -> dict[str, Any]:
    found = {one: rt.sessions.get(one, tenant="acme") for one in ids}
    return {one: session and dict(session.data) for one, session in found.items()}


def test_sessions_stay_in_memory_while_s3_fails(
    on_valkey: Deployment, tmp_path: Path, faulty: FaultyS3
) -> None:
    settings = in_s3(on_valkey, tmp_path, faulty)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        made = [rt.sessions.create("ada", {"n": n, "x": "x" * 1000}, tenant="acme") for n in range(5)]
        there = {one.id: dict(one.data) for one in made}
        before = rt.sessions.levels(tenant="acme")
        faulty.fails = writes
        with pytest.raises(BlobError) as caught:
            spill(rt)
        assert clear(caught.value)
        assert rt.sessions.levels(tenant="acme") == before
        assert data_of(rt, there) == there
        faulty.heal()
        assert spill(rt) == 5
        faulty.fails = reads
        one = next(iter(there))
        for attempt in (
            lambda: rt.sessions.get(one, tenant="acme"),
            lambda: rt.sessions.update(one, {"n": 9}, tenant="acme"),
        ):
            with pytest.raises(BlobError) as caught:
                attempt()
            assert clear(caught.value)
        assert rt.sessions.touch(one, tenant="acme")
        assert rt.sessions.levels(tenant="acme").spilled == 5
        faulty.heal()
        assert data_of(rt, there) == there


# A disk that is full: no file may grow any more, which is the same to a process.


@pytest.fixture
def large(alone: Deployment, tmp_path: Path) -> tuple[Deployment, Settings, CommandLine]:
    """A deployment whose checkpoint takes more than four megabytes."""
    given = {"tenant": {"enabled": True}, "blobs": {"url": str(tmp_path / "blobs")}}
    settings = alone.settings(**given)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        for _ in range(12):
            rt.sessions.create("ada", {"x": secrets.token_hex(400 * 1024)}, tenant="acme")
    return alone, settings, CommandLine(alone, tmp_path, given)


def test_a_full_disk(large: tuple[Deployment, Settings, CommandLine], tmp_path: Path) -> None:
    deployment, settings, cli = large
    shelf, blobs = Shelf(settings), tmp_path / "blobs"
    ended = cli.run("checkpoint", "create", file_bytes=MEGABYTE)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: blob 'checkpoint/")
    assert "File too large" in ended.stderr
    assert not [path for path in blobs.rglob("*") if path.is_file()], "nothing of it takes room"
    made = cli.good("checkpoint", "create").strip()
    assert shelf.verify(made).size > 4 * MEGABYTE

    # A restore keeps what it verifies in a temporary file.
    rest = dump(deployment)
    ended = cli.run("checkpoint", "restore", made, file_bytes=MEGABYTE)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: checkpoint {made} cannot be read into a temporary file")
    assert len(ended.stderr.splitlines()) == 2, "what is wrong, and what to do"
    assert dump(deployment) == rest
    deployment.client.flushall()
    cli.good("checkpoint", "restore", made)
    with riptide.connect(config=settings) as rt:
        assert len([*rt.sessions.list(tenant="acme")]) == 12
