"""Spilling and restoring that end at any of their calls, before or after it was carried out, and are tried
again."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import Blobs, open_blobs
from riptide.state.spill import operations
from riptide.state.spill.spilling import Spilling
from riptide.store.keys import Keys
from tests.support.calls import CallProxy, When
from tests.support.deployment import Deployment

COUNT = 3
#: In CI every second call is struck; which ones, the seed says.
_STEP = 2


def settings_of(deployment: Deployment, blobs: Path, **redis: Any) -> Settings:
    return deployment.settings(blobs={"url": str(blobs)}, redis=redis)


def spill(rt: RipTide, keep_bytes: int = 0) -> None:
    spilling = Spilling(Keys(rt.settings.cache.key_prefix), rt.settings, lambda function: function())
    rt.store.drive(spilling.spill(None, keep_bytes, lambda *_: None))


def read(rt: RipTide, ids: list[str]) -> list[Any]:
    return [found and found.data["n"] for found in (rt.sessions.get(one) for one in ids)]


def strike(
    deployment: Deployment, blobs: Path, act: Callable[[RipTide, list[str]], object], number: int, when: When
) -> int:
    """How many calls `act` made before it was struck; nothing is lost or left."""
    straight = settings_of(deployment, blobs)
    with riptide.connect(config=straight) as rt:
        ids = [rt.sessions.create("ada", {"n": n, "x": "x" * 400}).id for n in range(COUNT)]
        if act is read:
            spill(rt)
        with CallProxy(deployment.url, lambda _: True) as proxy:
            proxy.strike_at(number, when, lambda: None, last=True)
            through = Deployment(proxy.url, deployment.prefix)
            settings = settings_of(through, blobs, retry_attempts=0)
            through.close()
            with suppress(RiptideError), riptide.connect(config=settings) as victim:
                act(victim, ids)
            calls = len(proxy.calls)
        assert read(rt, ids) == list(range(COUNT))
        spill(rt)
        assert rt.sessions.levels().spilled == COUNT
        assert read(rt, ids) == list(range(COUNT))
        deployment.client.delete(deployment.keys.control("sessions:swept"))
        spill(rt, 10**9)
        levels = rt.sessions.levels()
        assert (levels.sessions, levels.spilled, levels.storage_bytes, levels.due) == (COUNT, 0, 0, 0)
        sizes = [int(deployment.client.hget(deployment.keys.session("default", one), "size")) for one in ids]
        assert levels.memory_bytes == sum(sizes) + 320 * COUNT
        for one in ids:
            assert rt.sessions.terminate(one)
    assert [blob.name for blob in open_blobs(straight.blobs).list("sessions/")] == []
    return calls


@pytest.mark.parametrize("act", [lambda rt, _: spill(rt), read], ids=["spill", "restore"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_at_any_call(
    on_valkey: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rng: random.Random,
    act: Callable[[RipTide, list[str]], object],
    when: When,
) -> None:
    """What a dead process has left in the blob store is an orphan at once here, and is swept."""
    monkeypatch.setattr("riptide.tenants.accounts.orphans.ORPHAN_MS", -1)
    number = rng.randrange(_STEP)
    while strike(on_valkey, tmp_path, act, number, when) > number:
        number += _STEP
    assert number > 5


def test_a_session_that_changes_meanwhile_stays(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is changed, touched, ended, or its tenant is gone, after it was read and before it is swapped."""
    settings = settings_of(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        changed, touched, ended = (rt.sessions.create("ada", {"x": "x" * 400}).id for _ in range(3))
        blobs = open_blobs(settings.blobs)
        _before_each_put(
            monkeypatch,
            blobs,
            [
                lambda: rt.sessions.update(changed, {"y": 1}),
                lambda: rt.sessions.touch(touched),
                lambda: rt.sessions.terminate(ended),
            ],
        )
        spill(rt)
        levels = rt.sessions.levels()
        assert (levels.sessions, levels.total_spilled) == (2, 2)  # the changed one at the second try
        found = rt.sessions.get(changed)
        assert found is not None
        assert found.data == {"x": "x" * 400, "y": 1}
        assert len(list(blobs.list("sessions/"))) == 2, "who loses a race removes its blob"


def test_a_late_reader_puts_nothing_old_back(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is restored, changed and spilled again after its blob was read and before it is put
    back."""
    settings = settings_of(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        changed, again, ended = (rt.sessions.create("ada", {"n": 0, "x": "x" * 400}).id for _ in range(3))
        spill(rt)
        kind = type(open_blobs(settings.blobs))
        get = kind.get
        meanwhile: list[Callable[[], object]] = []

        def slow(self: Any, name: str) -> bytes:
            data = get(self, name)
            while meanwhile:
                meanwhile.pop()()
            return data

        monkeypatch.setattr(kind, "get", slow)
        meanwhile.append(lambda: rt.sessions.update(changed, {"n": 1}))
        rt.sessions.get(changed)
        assert read(rt, [changed]) == [1]
        meanwhile += [lambda: spill(rt), lambda: rt.sessions.update(again, {"n": 1})]  # from the last one on
        rt.sessions.get(again)
        assert read(rt, [again]) == [1]
        meanwhile.append(lambda: rt.sessions.terminate(ended))
        rt.sessions.get(ended)
        assert rt.sessions.get(ended) is None
        assert rt.sessions.levels().sessions == 2


def test_a_blob_is_never_swapped_in_once_it_may_be_an_orphan(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "SWAP_MS", -1)
    with riptide.connect(config=settings_of(on_valkey, tmp_path)) as rt:
        session = rt.sessions.create("ada", {"n": 1, "x": "x" * 400}).id
        spill(rt)
        assert rt.sessions.levels().spilled == 0
        assert read(rt, [session]) == [1]


def _before_each_put(
    monkeypatch: pytest.MonkeyPatch, blobs: Blobs, actions: list[Callable[[], object]]
) -> None:
    """Do all of `actions` before the first blob is written."""
    kind = type(blobs)
    put = kind.put

    def slow(self: Any, name: str, data: Any) -> None:
        while actions:
            actions.pop()()
        put(self, name, data)

    monkeypatch.setattr(kind, "put", slow)
