"""Shutdown checkpoints: by the worker that leaves last, if there is time; and emergency ones, from end to
end."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config import Settings
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints import names, shelf
from riptide.state.checkpoints.parting import Parting
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from tests.integration.checkpoints.test_writing import Watching
from tests.integration.sessions.test_spill import data_of, fill, spill
from tests.servers import ServerProcess
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import WorkerProcess


def settings_of(deployment: Deployment, directory: Path) -> Settings:
    """With the blob store of workers whose files are in that directory."""
    return deployment.settings(blobs={"url": str(directory / "blobs")}, tenant={"enabled": True})


def workers(deployment: Deployment, directory: Path, count: int, **state: Any) -> list[WorkerProcess]:
    sections: dict[str, Any] = {"state": state, "tenant": {"enabled": True}}
    return [
        WorkerProcess(deployment, directory, commands=["noop", "effect"], **sections) for _ in range(count)
    ]


def leave(some: list[WorkerProcess]) -> None:
    for worker in some:
        worker.terminate()
    assert [worker.wait() for worker in some] == [0] * len(some)


def test_the_last_worker_writes_one(deployment: Deployment, tmp_path: Path) -> None:
    """Once for many that stop together; none as long as another one goes on."""
    settings = settings_of(deployment, tmp_path)
    with riptide.connect(config=settings) as rt, ExitStack() as stack:
        rt.tenants.create("acme")
        there = fill(rt, 2, "acme")
        first, *others = [
            stack.enter_context(one) for one in workers(deployment, tmp_path, 3, checkpoint_on_shutdown=True)
        ]
        leave([first])
        assert not Shelf(settings).ids(), "others go on"
        leave(others)
        (made,) = Shelf(settings).list()[0]
        assert (made.kind, made.tenants, made.keys["sessions"]) == ("shutdown", 1, 2)
        assert made.note.startswith("by ")
        forget(deployment)
        restore(settings, Shelf(settings), made.id)
        assert {one: data_of(rt, one) for one in there} == there


def test_none_unless_it_is_asked_for(on_valkey: Deployment, tmp_path: Path) -> None:
    (one,) = workers(on_valkey, tmp_path, 1)
    with one:
        leave([one])
    assert not Shelf(settings_of(on_valkey, tmp_path)).ids()


def test_what_does_not_fit_is_given_up(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops does not wait for a blob store that hangs; and what it took is not listed, even when it
    goes on later."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    goes_on = threading.Event()
    real = open_blobs(settings.blobs)
    slow: Any = Watching(real, lambda: goes_on.wait(PATIENCE))
    monkeypatch.setattr(shelf, "open_blobs", lambda _: slow)
    leaving = Parting(settings, "me", 1.0)
    leaving.wait()
    assert leaving.is_alive()
    goes_on.set()
    leaving.join(PATIENCE)
    assert not leaving.is_alive()
    assert not list(real.list(names.folder(on_valkey.prefix)))
    Parting(settings, "me", 0.0).wait()
    assert not list(real.list(names.folder(on_valkey.prefix)))


@pytest.fixture
def full(
    private_server: Callable[..., ServerProcess], prefix: str
) -> Iterator[tuple[ServerProcess, Deployment]]:
    server = private_server(aof=False)
    deployment = Deployment(server.url, prefix)
    yield server, deployment
    deployment.close()


def test_a_full_server_is_written_down_and_brought_back(
    full: tuple[ServerProcess, Deployment], tmp_path: Path
) -> None:
    """A worker notices it by itself; then the server is lost."""
    server, deployment = full
    settings = settings_of(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"active_sessions": -1})
        there = fill(rt, 20, "acme", size=10_000)
        spill(rt, 100_000)
        (one,) = workers(deployment, tmp_path, 1, session_memory_bytes=2**30)
        with one:
            used = deployment.client.info("memory")["used_memory"]
            deployment.client.config_set("maxmemory", used // 2)
            eventually(Shelf(settings).ids, "an emergency checkpoint")
            leave([one])
        (made,) = Shelf(settings).list()[0]
        assert (made.kind, made.left_out, made.keys["sessions"]) == ("emergency", 0, 20)
        assert "% of its memory" in made.note
        server.kill()
        shutil.rmtree(server.directory)
        server.start()
        assert restore(settings, Shelf(settings), made.id).items["sessions"] == 20
        assert {one: data_of(rt, one) for one in there} == there
