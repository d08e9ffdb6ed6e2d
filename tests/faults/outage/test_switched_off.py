"""The flags of the way back: with persistence off no server is touched, and the service runs."""

import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from riptide.config import Loaded, load
from riptide.config.live import Live
from riptide.errors import InvalidInput, PersistenceOff
from riptide.reads.sync_client import connect
from tests.faults.outage.conftest import Both
from tests.support.commands import Noop
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE
from tests.support.workers import RIPTIDE, ROOT

Write = Callable[[str], Path]


class Listener:
    """Stands where the server would be, and counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}"
        self.came = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.came += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "riptide.yml"
        path.write_text(text)
        return path

    return written


def switched_off(how: str, listener: Listener, write: Write) -> Loaded:
    """By a variable, or by the file."""
    text = "tenant: {enabled: true}\nworkers: {modules: [tests.support.commands]}\n"
    environ = {"REDIS_URL": listener.url}
    if how == "file":
        return load(write(text + "enable_persistence: false\n"), environ)
    return load(write(text), environ | {"ENABLE_PERSISTENCE": "false"})


DROPPED: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda rt: rt.cache.set("k", 1, tenant="acme"), False),
    (lambda rt: rt.cache.set_many({"k": 1}), False),
    (lambda rt: rt.cache.write_behind("k", 1), False),
    (lambda rt: rt.cache.touch("k"), False),
    (lambda rt: rt.cache.delete("k"), False),
    (lambda rt: rt.cache.invalidate(tags=["t"]), 0),
    (lambda rt: rt.cache.clear(), None),
    (lambda rt: rt.cache.get("k", "default"), "default"),
    (lambda rt: rt.cache.get_many(["k"]), {}),
    (lambda rt: rt.cache.entry("k"), None),
    (lambda rt: rt.cache.exists("k"), False),
    (lambda rt: rt.cache.get_or_load("k", lambda: (1, 2), tenant="acme"), [1, 2]),
    (lambda rt: rt.cache.get_or_load("k", lambda: (1, 2), refresh=True), [1, 2]),
    (lambda rt: rt.cache.warm("k", lambda: 1), ("refused", 0)),
]
LOUD: list[Callable[[Any], Any]] = [
    lambda rt: rt.publish(Noop(n=1), tenant="acme"),
    lambda rt: rt.usage.record("acme", "read"),
    lambda rt: rt.sessions.create("user"),
    lambda rt: rt.tenants.create("acme"),
    lambda rt: rt.quotas.show("acme"),
    lambda rt: rt.cache.inspect("k"),
]


def check(amounts: dict[str, int], rt: Any) -> Any:
    return rt.quotas.check("acme", amounts)


@pytest.mark.parametrize("how", ["variable", "file"])
async def test_no_server_is_touched_and_the_service_runs(
    how: str, listener: Listener, write: Write, both: Both
) -> None:
    with capture_logs() as lines:
        callers = await both(switched_off(how, listener, write))
    assert [line["event"] for line in lines] == [
        "persistence is switched off: the service runs without it"
    ] * 2
    origin: list[int] = []
    for caller in callers:
        assert not caller.rt.in_use
        for number, (function, answer) in enumerate(DROPPED):
            assert await caller.call(function) == answer, number
        assert await caller.call(lambda rt: rt.cache.write_through("k", 1, origin.append)) is False
        for amounts in ({"operations_per_minute": 1}, {"storage_bytes": 1}):
            decision = await caller.call(partial(check, amounts))
            assert (decision.allowed, decision.degraded) == (True, True)
        for function in LOUD:
            with pytest.raises(PersistenceOff, match="ENABLE_PERSISTENCE") as caught:
                await caller.call(function)
            assert not caught.value.maybe_done
        with pytest.raises(InvalidInput):
            await caller.call(lambda rt: rt.cache.set("", 1))
        health = await caller.call(lambda rt: rt.health())
        assert health.state == "degraded"
        assert "enable_persistence" in health.components["configuration"].advice
        await caller.close()
    assert origin == [1, 1], "the origin is written all the same"
    assert listener.came == 0


def test_the_old_path_is_taken_and_left_again_while_the_process_runs(on_valkey: Deployment) -> None:
    """As when the deployment's configuration is switched; the rest of RipTide goes on."""
    environ = {"REDIS_URL": on_valkey.url, "CACHE_KEY_PREFIX": on_valkey.prefix}
    loaded = load(write_nothing(), environ)
    calls: list[int] = []
    with connect(config=loaded) as rt:
        live: Live = rt.state._live

        @rt.cache.cached(key=str)
        def page(number: int) -> tuple[int, ...]:
            calls.append(number)
            return (number,)

        def switch(use: str) -> tuple[str, ...]:
            wanted = load(write_nothing(), environ | {"USE_PERSISTENCE_LAYER": use}).settings
            return live.switch(wanted, f"2-{use}", fail).changed

        assert rt.in_use
        assert [page(1), page(1), len(calls)] == [[1], [1], 1]
        assert switch("false") == ("use_persistence_layer",)
        assert not rt.in_use
        assert [page(1), page(1), len(calls)] == [(1,), (1,), 3], "the function's own value, each time"
        rt.cache.set("k", 1)
        assert rt.cache.get("k") == 1
        assert "old path" in rt.health().components["configuration"].says
        legacy = rt.legacy
        legacy.set("text", "old", 100)
        assert on_valkey.client.get("text") == b"old"
        assert legacy.get("text") == "old"
        switch("true")
        assert rt.in_use
        assert [page(1), len(calls)] == [[1], 3]
        assert legacy.get("text") == "old", "a cut-over starts warm"
        legacy.set("text", "new", 100)
        assert on_valkey.client.get("text") is None
        switch("false")
        assert legacy.get("text") is None, "going back starts cold"
        legacy.set("text", "newest", 100)
        on_valkey.client.delete("text")
        switch("true")
        assert legacy.get("text") is None, "what it had before it was written elsewhere is gone"


def write_nothing() -> Path:
    return ROOT / "config" / "persistence.yml"


def fail(error: Exception) -> None:
    raise error


def test_a_worker_has_nothing_to_do(listener: Listener) -> None:
    environment = {"ENABLE_PERSISTENCE": "false", "REDIS_URL": listener.url, "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(
        [RIPTIDE, "worker"], env=environment | {"PYTHONPATH": str(ROOT)}, cwd=ROOT, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = b""
    while b"nothing to do" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGTERM)
    with process.stderr:
        assert process.wait(PATIENCE) == 0
    assert listener.came == 0


def test_a_command_says_so(listener: Listener) -> None:
    environment = {"ENABLE_PERSISTENCE": "false", "REDIS_URL": listener.url, "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(
        [RIPTIDE, "tenant", "list"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "ENABLE_PERSISTENCE" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert listener.came == 0
