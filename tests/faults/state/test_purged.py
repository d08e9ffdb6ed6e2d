"""A purged tenant stays purged through every restore: whole, or of it by name, into a living server or an
empty one, from a checkpoint of before, amid or after the purge."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import riptide
from commands import COMMANDS
from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.purged import remembering
from riptide.state.restore.restoring import restore
from riptide.store.operation import Flow
from riptide.store.sync import open_store
from riptide.streams.message import Ref
from riptide.streams.registry import Registry
from riptide.tenants.purge.commands import Own
from riptide.tenants.purge.purging import Order, Purging
from tests.support.archives import archiving, wait_archived
from tests.support.calls import CallProxy
from tests.support.checkpointed import Ledger, checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.purged import dump, have_everything, of_tenant
from tests.support.tenants import have_tenants
from tests.support.usage import KIND, counting_worker
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import running_worker
from workers import HANDLERS

pytestmark = pytest.mark.faults

#: Of a restore, as it tells them.
STEPS = ("keys", "sessions", "usage", "commands", "tenants")
DOOMED, NEIGHBOUR = "zqjxw", "umbrella"
TYPES = Registry(COMMANDS, HANDLERS).pick(["purge_tenant", KIND])


def purge(settings: Settings, incarnation: str) -> None:
    """As a worker does it."""
    blobs = open_blobs(settings.blobs)

    def no_keys(_tenant: str, _incarnation: str) -> Flow[int]:
        yield from ()
        return 0

    destroy = remembering(blobs, settings.cache.key_prefix, no_keys, lambda function: function())
    purging = Purging(_keys(settings), settings, [KIND], lambda function: function(), destroy)
    own = Own("0-1", Ref("purge_tenant", "10", "0-1"))
    store = open_store(settings)
    try:
        store.drive(purging.purge(Order(DOOMED, incarnation, "test", "why", own, lambda *_: None)))
    finally:
        store.close()


def _keys(settings: Settings) -> Any:
    from riptide.store.keys import Keys

    return Keys(settings.cache.key_prefix)


class Scene:
    """Two tenants with something of everything, usage that nobody has counted yet, and a checkpoint."""

    def __init__(self, deployment: Deployment, directory: Path, rng: random.Random) -> None:
        self.deployment, self.directory = deployment, directory
        self.settings = checkpoint_settings(deployment, directory, redis={"retry_attempts": 0})
        self.shelf = Shelf(self.settings)
        have_everything(deployment, self.settings, {DOOMED: 2})
        have_tenants(self.settings, NEIGHBOUR)
        self.ledger = Ledger(deployment, [DOOMED, NEIGHBOUR], rng)
        with archiving(self.settings):
            self.ledger.add(10)
            self.before = self.shelf.create().id
            self.ledger.add(10)
            wait_archived(self.settings, KIND)
        self.mine = Ledger(deployment, [NEIGHBOUR], rng)
        self.mine.operations[NEIGHBOUR] = self.ledger.operations[NEIGHBOUR]
        self.mine.bytes[NEIGHBOUR] = self.ledger.bytes[NEIGHBOUR]
        with riptide.connect(config=self.settings) as rt:
            self.incarnation = rt.tenants.disable(DOOMED).incarnation

    def purge(self, number: int = -1) -> list[str]:
        """Up to its call of that number; answers all calls."""
        with CallProxy(self.deployment.url, lambda _: True) as proxy:
            proxy.strike_at(number, "before", lambda: None, last=True)
            through = Deployment(proxy.url, self.deployment.prefix)
            settings = checkpoint_settings(through, self.directory, redis={"retry_attempts": 0})
            through.close()
            with suppress(RiptideError):
                purge(settings, self.incarnation)
            return proxy.calls

    def left(self) -> list[bytes]:
        """Where anything of the tenant is, but for the operators' trail of its purge."""
        found = of_tenant(dump(self.deployment), DOOMED)
        trail = self.deployment.keys.control("audit").encode()
        return [place for place in found if not place.startswith(trail)]

    def check(self, checkpoint: str) -> None:
        """No restore brings anything of it back; that of the neighbour does all it should."""
        for tenants in ([DOOMED], [DOOMED, NEIGHBOUR], None, [DOOMED], None):
            report = restore(self.settings, self.shelf, checkpoint, tenants=tenants)
            assert report.tenants["purged"] <= 1
            assert not self.left(), (tenants, self.left())
        self.mine.check()

    async def lives_on(self) -> None:
        """What waits is carried out without a trace of it. Its id is free for another one, whose usage
        counts, and which can be purged in its turn."""
        async with running_worker(self.settings, TYPES, counting=_counting(self.settings)):

            async def rest() -> bool:
                return await asyncio.to_thread(self.deployment.at_rest, KIND)

            await aeventually(rest, "all to be done")
            assert not self.left()
            await asyncio.to_thread(have_tenants, self.settings, DOOMED)
            both = Ledger(self.deployment, [DOOMED], random.Random(1))
            await asyncio.to_thread(both.add, 3)
            await aeventually(rest, "its usage to be counted")
            await asyncio.to_thread(both.check)
            async with await riptide.aconnect(config=self.settings) as rt:
                ended = await rt.wait(await rt.tenants.delete(DOOMED), PATIENCE)
                assert (ended.state, ended.value["purged"]) == ("done", True), ended
        assert not self.left()
        self.mine.check()


def _counting(settings: Settings) -> Any:
    from riptide.tenants.usage.counting import Counting

    return Counting(_keys(settings))


async def test_a_purge_that_has_ended(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    scene = await asyncio.to_thread(Scene, on_valkey, tmp_path, rng)
    await asyncio.to_thread(scene.purge)
    after = (await asyncio.to_thread(scene.shelf.create)).id
    assert not scene.left()
    async with counting_worker(scene.settings):

        async def rest() -> bool:
            return await asyncio.to_thread(on_valkey.at_rest, KIND)

        await aeventually(rest, "the neighbour's usage to be counted")
    for checkpoint, lost in ((scene.before, False), (scene.before, True), (after, True)):
        if lost:
            await asyncio.to_thread(forget, on_valkey)
        if checkpoint == scene.before:
            await asyncio.to_thread(scene.check, checkpoint)
        else:
            await asyncio.to_thread(restore, scene.settings, scene.shelf, checkpoint)
            assert not scene.left()
            scene.mine.check()
    await scene.lives_on()


def calls_of_a_purge(deployment: Deployment, directory: Path, rng: random.Random) -> list[str]:
    """In their order."""
    calls: list[str] = []
    for run in ("warm", "count"):  # at first the server has to be taught the scripts
        forget(deployment)
        calls = Scene(deployment, directory / run, rng).purge()
    return calls


async def test_a_server_that_is_lost_amid_a_purge(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """A checkpoint is written when the purge has come so far; then the server is lost, and is restored from
    it or from an older one."""
    calls = await asyncio.to_thread(calls_of_a_purge, on_valkey, tmp_path, rng)
    closed, noted = calls.index("close_record.lua"), len(calls) - calls[::-1].index("note_gone.lua")
    early = rng.randrange(closed + 2, noted + 1)  # nobody but that checkpoint knows of it
    for number in (early, *sorted(rng.sample(range(noted + 1, len(calls) - 3), 2))):
        deployment = Deployment(on_valkey.url, f"{on_valkey.prefix}n{number}")
        scene = await asyncio.to_thread(Scene, deployment, tmp_path / str(number), rng)
        await asyncio.to_thread(scene.purge, number)
        amid = (await asyncio.to_thread(scene.shelf.create)).id
        await asyncio.to_thread(forget, deployment)
        order = [amid, scene.before] if rng.random() < 0.7 else [scene.before, amid]
        if _is_written_down(scene):
            await asyncio.to_thread(restore, scene.settings, scene.shelf, order[0])
            assert not scene.left(), f"after call {number} ({calls[number]})"
            await asyncio.to_thread(restore, scene.settings, scene.shelf, order[1])
        else:
            assert number == early
            await asyncio.to_thread(restore, scene.settings, scene.shelf, amid)
        assert not scene.left(), f"after call {number} ({calls[number]})"
        scene.mine.check()
        await scene.lives_on()
        deployment.close()


def _is_written_down(scene: Scene) -> bool:
    return bool(list(open_blobs(scene.settings.blobs).list("purged/")))


async def test_a_restore_amid_a_purge(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """On the living server: the purge goes on as if nothing had been, and the id is free afterwards."""
    calls = await asyncio.to_thread(calls_of_a_purge, on_valkey, tmp_path, rng)
    for number in sorted(rng.sample(range(6, len(calls)), 4)):
        deployment = Deployment(on_valkey.url, f"{on_valkey.prefix}n{number}")
        scene = await asyncio.to_thread(Scene, deployment, tmp_path / str(number), rng)
        await asyncio.to_thread(scene.purge, number)
        for tenants in ([DOOMED], None):
            await asyncio.to_thread(restore, scene.settings, scene.shelf, scene.before, tenants=tenants)
        await asyncio.to_thread(scene.purge)
        assert not scene.left(), f"after call {number} ({calls[number]})"
        with riptide.connect(config=scene.settings) as rt:
            assert {tenant.id for tenant in rt.tenants.list().tenants} == {"default", NEIGHBOUR}
        await scene.lives_on()
        deployment.close()


class Killed(Exception):
    """Stands for the end of a process that restores."""


def restore_amid(scene: Scene, step: str, *, lost: bool, is_killed: bool) -> None:
    """The tenant is purged when a restore has come to a step; after that it goes on, or is killed."""
    reached: list[str] = []

    def told(_done: float, _of: float, what: str) -> None:
        if reached and is_killed and what != step:
            raise Killed
        if what == step and not reached:
            reached.append(what)
            if lost:  # another one is faster
                restore(scene.settings, scene.shelf, scene.before)
            scene.purge()

    with suppress(Killed):
        restore(scene.settings, scene.shelf, scene.before, told=told)
    assert reached


async def stays_purged(scene: Scene, where: Any) -> None:
    """At once, and after the next restores; and its id is free."""
    assert not scene.left(), (where, scene.left())
    for tenants in ([DOOMED], None):
        await asyncio.to_thread(restore, scene.settings, scene.shelf, scene.before, tenants=tenants)
        assert not scene.left(), (where, tenants, scene.left())
    await scene.lives_on()


@pytest.mark.parametrize("lost", [False, True], ids=["living", "lost"])
async def test_a_purge_that_ends_amid_a_restore(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random, lost: bool
) -> None:
    """Nothing is left that somebody would have to clear away, also if the restore is killed then. On a server
    that was lost another restore has brought the tenant back before it is purged."""
    for step in rng.sample(STEPS, 3):
        deployment, is_killed = Deployment(on_valkey.url, f"{on_valkey.prefix}{step}"), rng.random() < 0.5
        scene = await asyncio.to_thread(Scene, deployment, tmp_path / step, rng)
        if lost:
            await asyncio.to_thread(forget, deployment)
        await asyncio.to_thread(restore_amid, scene, step, lost=lost, is_killed=is_killed)
        await stays_purged(scene, (step, is_killed))
        deployment.close()


def restore_struck(scene: Scene, number: int) -> list[str]:
    """The tenant is purged before that call of a restore, which loses its connection; answers all calls."""

    def purge_now() -> None:
        scene.purge()

    with CallProxy(scene.deployment.url, lambda _: True) as proxy:
        proxy.strike_at(number, "before", purge_now, last=False)
        through = Deployment(proxy.url, scene.deployment.prefix)
        with suppress(RiptideError):
            restore(checkpoint_settings(through, scene.directory), scene.shelf, scene.before)
        through.close()
        assert number < 0 or proxy.struck.wait(PATIENCE)
        return proxy.calls


async def test_a_purge_that_ends_before_a_call_of_a_restore(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    calls: list[str] = []
    for name in ("warm", "count"):  # at first the server has to be taught the scripts
        deployment = Deployment(on_valkey.url, f"{on_valkey.prefix}{name}")
        scene = await asyncio.to_thread(Scene, deployment, tmp_path / name, rng)
        calls = await asyncio.to_thread(restore_struck, scene, -1)
        deployment.close()
    decided = calls.index("permit.lua")
    for number in (*range(2, decided + 1), *sorted(rng.sample(range(decided + 1, len(calls)), 3))):
        deployment = Deployment(on_valkey.url, f"{on_valkey.prefix}n{number}")
        scene = await asyncio.to_thread(Scene, deployment, tmp_path / str(number), rng)
        await asyncio.to_thread(restore_struck, scene, number)
        await stays_purged(scene, (number, calls[number]))
        deployment.close()
