"""Streams stay bounded, and nothing that somebody still needs is ever trimmed."""

import asyncio
import random
import time
from typing import Any

import riptide
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import GROUP, PARTITIONS
from riptide.streams.overview import overview
from riptide.streams.upkeep import Kept, upkeep
from tests.support.commands import Effect
from tests.support.deployment import Deployment
from tests.support.waiting import aeventually
from tests.support.workers import running_worker

KIND, PLACE = "effect", PARTITIONS[2]
DAY_MS = 86_400_000


class Filled:
    """One stream, filled by hand: entries of some age, given out and acknowledged as a test wants it."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.client = deployment, deployment.client
        self.key = deployment.keys.commands(KIND, PLACE)
        self.now = round(time.time() * 1000)

    def fill(self, count: int, *, age_ms: int, body: str = "{}") -> None:
        for n in range(count):
            self.client.xadd(self.key, {"body": body}, id=f"{self.now - age_ms + n}-0")

    def group(self, name: str, *, read: int = 0, acknowledge: int = 0) -> list[bytes]:
        self.client.xgroup_create(self.key, name, id="0", mkstream=True)
        rows: Any = self.client.xreadgroup(name, "me", {self.key: ">"}, count=read) if read else []
        ids = [entry for _, entries in rows for entry, _ in entries]
        if acknowledge:
            self.client.xack(self.key, name, *ids[:acknowledge])
        return ids

    def left(self) -> list[int]:
        return [int(entry.split(b"-")[0]) for entry, _ in self.client.xrange(self.key)]

    async def keep(self, rt: AsyncRipTide, **streams: Any) -> Kept:
        settings = self.deployment.settings(streams=streams).streams
        kept = await rt.store.run(upkeep(self.deployment.keys, settings, [KIND], PLACE))
        for _ in range(50):
            if not kept.more:
                break
            kept = await rt.store.run(upkeep(self.deployment.keys, settings, [KIND], PLACE))
        return kept


async def test_what_is_finished_goes_after_the_window(deployment: Deployment) -> None:
    stream = Filled(deployment)
    stream.fill(1000, age_ms=2 * DAY_MS)
    stream.fill(500, age_ms=3_600_000)
    stream.group(GROUP, read=1500, acknowledge=1500)
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        kept = await stream.keep(rt)
    left = stream.left()
    assert kept.pinned == []
    assert len([ms for ms in left if ms > stream.now - DAY_MS]) == 500, "what lies in the window stays"
    assert len(left) < 500 + 200, "what is older is gone, but for a part of one node of the stream"


async def test_a_pending_entry_stays_with_all_behind_it(deployment: Deployment) -> None:
    stream = Filled(deployment)
    stream.fill(1000, age_ms=2 * DAY_MS)
    ids = stream.group(GROUP, read=1000, acknowledge=400)
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        kept = await stream.keep(rt)
    left = stream.client.xrange(stream.key)
    assert {entry for entry, _ in left} >= set(ids[400:]), "nothing unacknowledged is lost"
    assert len(left) < 1000, "what lies before it is trimmed"
    assert [pin.group for pin in kept.pinned] == [GROUP]
    assert kept.pinned[0].seconds > 86_400


async def test_what_nobody_has_read_stays(deployment: Deployment) -> None:
    stream = Filled(deployment)
    stream.fill(300, age_ms=2 * DAY_MS)
    stream.group(GROUP, read=100, acknowledge=100)
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        await stream.keep(rt)
    assert len(stream.left()) >= 200


async def test_a_registered_group_holds_the_stream_and_is_named(deployment: Deployment) -> None:
    stream = Filled(deployment)
    stream.fill(300, age_ms=2 * DAY_MS)
    stream.group(GROUP, read=300, acknowledge=300)
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        missing = await stream.keep(rt, groups={KIND: ["audit"]})
        assert [pin.group for pin in missing.pinned] == ["audit"], "one that was never made needs all"
        assert len(stream.left()) == 300
        stream.group("audit", read=150, acknowledge=150)
        stream.group("strangers")
        behind = await stream.keep(rt, groups={KIND: ["audit"]})
        assert [(pin.kind, pin.partition, pin.group) for pin in behind.pinned] == [(KIND, PLACE, "audit")]
        assert len(stream.left()) >= 150
        free = await stream.keep(rt)
    assert free.pinned == [], "a group that is not registered holds nothing"
    assert len(stream.left()) < 150


async def test_what_the_newest_checkpoint_needs_stays(deployment: Deployment) -> None:
    stream = Filled(deployment)
    stream.fill(300, age_ms=2 * DAY_MS)
    ids = stream.group(GROUP, read=300, acknowledge=300)
    deployment.client.hset(deployment.keys.floor(PLACE), KIND, ids[120])
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        kept = await stream.keep(rt)
    assert [pin.group for pin in kept.pinned] == [None]
    assert {entry for entry, _ in stream.client.xrange(stream.key)} >= set(ids[120:])


async def test_a_stream_over_its_bytes_loses_its_oldest(deployment: Deployment, rng: random.Random) -> None:
    stream = Filled(deployment)
    body = rng.randbytes(2000).hex()
    for start in range(0, 3000, 500):
        pipe = stream.client.pipeline()
        for n in range(start, start + 500):
            pipe.xadd(stream.key, {"body": body}, id=f"{stream.now - 3000 + n}-0")
        pipe.execute()
    ids = stream.group(GROUP, read=3000, acknowledge=2900)
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        for _ in range(20):
            await stream.keep(rt, replay_window_bytes="1MiB")
    used = deployment.client.memory_usage(stream.key, samples=0)
    assert used < 1.3 * 1024**2
    left = {entry for entry, _ in stream.client.xrange(stream.key)}
    assert left >= set(ids[2900:]), "what is unfinished stays, however large"
    assert len(left) >= 150, "no more goes than must"


async def test_a_lost_group_goes_on_where_it_was(deployment: Deployment) -> None:
    """What was finished and saved does not run again, what was not does."""
    settings = deployment.settings()
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings):
        refs = [await rt.publish(Effect(into=deployment.prefix)) for _ in range(20)]
        for ref in refs:
            assert (await rt.wait(ref, 60)).state == "done"
        place = refs[-1].partition

        async def saved() -> bool:
            return await asyncio.to_thread(_is_saved, deployment, place)

        await aeventually(saved, "the position to be saved")
        deployment.client.xgroup_destroy(deployment.keys.commands(KIND, place), GROUP)
        new = await rt.publish(Effect(into=deployment.prefix))

        async def done() -> bool:
            return len(await asyncio.to_thread(deployment.done, deployment.prefix)) == 21

        await aeventually(done, "the new effect")
        assert (await rt.wait(new, 60)).state == "done"
    assert len(deployment.starts(deployment.prefix)) == 21, "none ran twice"


def _is_saved(deployment: Deployment, place: str) -> bool:
    """Whether all that stands there is known to be finished; the last of it may be what was handed back."""
    [(newest, _)] = deployment.client.xrevrange(deployment.keys.commands(KIND, place), count=1)
    return bool(deployment.client.hget(deployment.keys.positions(place), KIND) == newest)


async def test_the_saved_position_is_just_before_what_is_pending(deployment: Deployment) -> None:
    """As numbers of any length: a double would be a step beyond, and what is pending lost with the group."""
    odd, most = 2**53 + 3, 2**64 - 1
    before = {
        "1000-0": f"999-{most}",
        f"1000-{odd}": f"1000-{odd - 1}",
        f"{odd}-0": f"{odd - 1}-{most}",
        f"{odd}-{10**18}": f"{odd}-{10**18 - 1}",
    }
    stream = Filled(deployment)
    for entry in before:
        stream.client.xadd(stream.key, {"body": "{}"}, id=entry)
    stream.group(GROUP, read=len(before))
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        for entry, position in before.items():
            await stream.keep(rt)
            assert deployment.client.hget(deployment.keys.positions(PLACE), KIND) == position.encode()
            stream.client.xack(stream.key, GROUP, entry)


async def test_a_stream_made_anew_is_read_from_its_start(deployment: Deployment) -> None:
    """The saved position is beyond all that it holds: a clock that went back."""
    deployment.client.hset(deployment.keys.positions(PLACE), KIND, f"{round(time.time() * 1000) + DAY_MS}-7")
    deployment.add(KIND, {"body": f'{{"into":"{deployment.prefix}"}}'}, PLACE)
    async with running_worker(deployment.settings()):

        async def done() -> bool:
            return len(await asyncio.to_thread(deployment.done, deployment.prefix)) == 1

        await aeventually(done, "the effect")


async def test_a_busy_worker_trims_by_itself(on_valkey: Deployment) -> None:
    stream = Filled(on_valkey)
    stream.fill(1000, age_ms=2 * DAY_MS, body=f'{{"into":"{on_valkey.prefix}"}}')
    async with running_worker(on_valkey.settings()):

        async def trimmed() -> bool:
            return len(await asyncio.to_thread(stream.left)) < 200

        await aeventually(trimmed, "the stream to be trimmed")

        async def all_done() -> bool:
            return len(await asyncio.to_thread(on_valkey.done, on_valkey.prefix)) == 1000

        await aeventually(all_done, "each to be carried out before it goes")


async def test_the_overview_names_the_group_that_pins(deployment: Deployment) -> None:
    stream = Filled(deployment)
    stream.fill(30, age_ms=2 * DAY_MS)
    stream.group(GROUP, read=30, acknowledge=30)
    settings = deployment.settings(streams={"groups": {KIND: ["audit"]}}).streams
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        (state,) = await rt.store.drive(overview(deployment.keys, [KIND], settings))
        assert (state.pinned_by, state.lag, state.pending, state.oldest_seconds) == ("audit", 0, 0, None)
        stream.group("audit", read=30, acknowledge=30)
        (state,) = await rt.store.drive(overview(deployment.keys, [KIND], settings))
        assert state.pinned_by is None
