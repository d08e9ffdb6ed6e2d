"""Spilling and restoring of entries that end at any of their calls, before or after it was carried out, and
are tried again; and what changes meanwhile."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.cache.spill import operations
from riptide.errors import RiptideError, TenantExists
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from tests.support.calls import CallProxy, When
from tests.support.deployment import Deployment
from tests.support.spilled import blob_names, check_accounts, spill, spilling_settings

TENANT, KEYS = "acme", ["a", "b", "c"]
#: In CI every second call is struck; which ones, the seed says.
_STEP = 2


def fill(rt: RipTide) -> dict[str, Any]:
    values = {key: [key, random.randbytes(600).hex()] for key in KEYS}
    if rt.cache.core.tenants.known(TENANT) is None:
        with suppress(TenantExists):
            rt.tenants.create(TENANT)
    rt.cache.set_many(values, tenant=TENANT)
    return values


def spill_all(rt: RipTide) -> None:
    spill(rt, 0, TENANT)


def read(rt: RipTide) -> dict[str, Any]:
    return {key: rt.cache.get(key, tenant=TENANT) for key in KEYS}


def strike(
    deployment: Deployment, blobs: Path, act: Callable[[RipTide], object], number: int, when: When
) -> int:
    """How many calls `act` made before it was struck; nothing is lost or left."""
    straight = spilling_settings(deployment, blobs)
    with riptide.connect(config=straight) as rt:
        values = fill(rt)
        if act is read:
            spill_all(rt)
        with CallProxy(deployment.url, lambda _: True) as proxy:
            proxy.strike_at(number, when, lambda: None, last=True)
            through = Deployment(proxy.url, deployment.prefix)
            settings = spilling_settings(through, blobs, redis={"retry_attempts": 0})
            through.close()
            with suppress(RiptideError), riptide.connect(config=settings) as victim:
                act(victim)
            calls = len(proxy.calls)
        check_accounts(rt, TENANT)
        assert read(rt) == values
        spill_all(rt)
        assert rt.cache.figures().spilled >= len(KEYS)
        assert read(rt) == values
        check_accounts(rt, TENANT)
        for key in KEYS:
            rt.cache.delete(key, tenant=TENANT)
        # What a dead process began can be judged after half an hour: as if that were over.
        _let_time_pass(deployment)
        deployment.client.delete(deployment.keys.control("entries:swept"))
        spill(rt, 10**9, TENANT)
        figures = rt.cache.figures()
        assert (figures.entries, figures.spilled, figures.storage_bytes) == (0, 0, 0)
    assert blob_names(straight) == []
    return calls


def _let_time_pass(deployment: Deployment) -> None:
    name = deployment.keys.entry_blobs(TENANT)
    for member, score in deployment.client.zrange(name, 0, -1, withscores=True):
        if score < 0:
            deployment.client.zadd(name, {member: -1})


@pytest.mark.parametrize("act", [spill_all, read], ids=["spill", "restore"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_at_any_call(
    on_valkey: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rng: random.Random,
    act: Callable[[RipTide], object],
    when: When,
) -> None:
    monkeypatch.setattr("riptide.tenants.accounts.orphans.ORPHAN_MS", -1)
    number = rng.randrange(_STEP)
    while strike(on_valkey, tmp_path, act, number, when) > number:
        number += _STEP
    assert number > 5


def test_an_entry_that_changes_meanwhile_stays(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written, deleted, touched or invalidated after it was read and before it is swapped."""
    settings = spilling_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        values = fill(rt)
        rt.cache.set("d", random.randbytes(600).hex(), namespace="other", tenant=TENANT)
        before: list[Callable[[], object]] = [
            lambda: rt.cache.set("a", "new", tenant=TENANT),
            lambda: rt.cache.delete("b", tenant=TENANT),
            lambda: rt.cache.touch("c", 7200, tenant=TENANT),
            lambda: rt.cache.invalidate_namespace("other", tenant=TENANT),
        ]
        _before(monkeypatch, open_blobs(settings.blobs), "put", before)
        spill_all(rt)
        assert read(rt) == {"a": "new", "b": None, "c": values["c"]}
        assert rt.cache.get("d", namespace="other", tenant=TENANT) is None
        check_accounts(rt, TENANT)


def test_a_late_reader_puts_nothing_old_back(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is written, deleted, or spilled once more after its stub was read."""
    settings = spilling_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        values = fill(rt)
        spill_all(rt)
        meanwhile: list[Callable[[], object]] = []
        _before(monkeypatch, open_blobs(settings.blobs), "get", meanwhile)
        meanwhile.append(lambda: rt.cache.set("a", "new", tenant=TENANT))
        rt.cache.get("a", tenant=TENANT)
        assert rt.cache.get("a", tenant=TENANT) == "new"
        meanwhile.append(lambda: rt.cache.delete("b", tenant=TENANT))
        rt.cache.get("b", tenant=TENANT)
        assert rt.cache.get("b", tenant=TENANT) is None
        # From the last one on: put back, spilled anew, and the first blob removed.
        meanwhile += [lambda: spill_all(rt), lambda: spill_all(rt), lambda: rt.cache.get("c", tenant=TENANT)]
        assert rt.cache.get("c", tenant=TENANT) == values["c"]
        assert rt.cache.stats().lost == 0
        check_accounts(rt, TENANT)


def test_a_blob_is_never_swapped_in_once_it_may_be_an_orphan(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "SWAP_MS", -1)
    settings = spilling_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        values = fill(rt)
        assert not spill(rt, 0, TENANT).entries
        assert blob_names(settings) == []
        assert rt.cache.figures().storage_bytes == 0
        assert read(rt) == values


def _before(
    monkeypatch: pytest.MonkeyPatch, blobs: Any, method: str, actions: list[Callable[[], object]]
) -> None:
    """Do all of `actions` before the next call of a blob store's method."""
    kind = type(blobs)
    call = getattr(kind, method)

    def slow(self: Any, *args: Any) -> Any:
        while actions:
            actions.pop()()
        return call(self, *args)

    monkeypatch.setattr(kind, method, slow)
