"""Schedules fire once per slot, by the server's clock, however many look and whoever dies on the way."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import pytest

import riptide
from riptide.clock import SystemClock
from riptide.config import ScheduleEntry, ScheduleSettings, Settings
from riptide.errors import ConfigError, RiptideError
from riptide.reads.sync_client import RipTide
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.streams.registry import load_models
from riptide.streams.schedule.entries import Scheduled, entries
from riptide.streams.schedule.firing import Schedules, open_schedules
from riptide.streams.schedule.timing import Every, slot_text
from tests.support import workers
from tests.support.commands import Effect, Noop
from tests.support.deployment import SHORT, Deployment
from tests.support.waiting import aeventually, eventually
from tests.support.workers import running_worker

HOUR = 3600
#: So long that no test meets its end.
STEP = 300 * 86400


@pytest.fixture
def rt(deployment: Deployment) -> Iterator[RipTide]:
    with riptide.connect(config=deployment.settings()) as opened:
        yield opened


@pytest.fixture
def rt_on_valkey(on_valkey: Deployment) -> Iterator[RipTide]:
    with riptide.connect(config=on_valkey.settings()) as opened:
        yield opened


def with_entries(settings: Settings, **entries: dict[str, Any]) -> Settings:
    given = {name: ScheduleEntry.model_validate(entry) for name, entry in entries.items()}
    return settings.model_copy(update={"schedule": ScheduleSettings(entries=given)})


def schedules_of(settings: Settings) -> Schedules:
    return open_schedules(settings, load_models(settings.workers.modules), SystemClock())


def process(rt: RipTide, *listed: Scheduled) -> Schedules:
    """What one more process makes of the same schedules."""
    template = schedules_of(rt.settings)
    return Schedules(Keys(rt.settings.cache.key_prefix), template._publisher, listed)


RARE = Scheduled("rare", Every(STEP), Noop, at_start=True)


def slot_of(schedules: Schedules, rt: RipTide, back: int = 0) -> int:
    return Every(STEP).newest(rt.store.run(schedules.state()).now_ms) - back * STEP * 1000


def do_some(rt: RipTide, flow: Flow[Any], steps: int) -> None:
    """Carry out the first `steps` operations of a flow, and then die."""
    value = None
    for _ in range(steps):
        step: Any = flow.send(value)
        value = rt.store.run(step)
    flow.close()


@pytest.mark.parametrize("steps", range(4))
def test_killed_after_any_step_a_slot_fires_once(rt: RipTide, deployment: Deployment, steps: int) -> None:
    """Asked, published, recorded: whoever dies between two of them, one command is published."""
    first = process(rt, RARE)
    do_some(rt, first.look(), min(steps, 3))
    others = [process(rt, RARE) for _ in range(3)]
    for other in others:
        rt.store.drive(other.look())
    published = deployment.entries("noop")
    assert len(published) == 1
    last = rt.store.run(first.state()).last["rare"]
    partition, entry_id, _ = published[0]
    assert last.ref == f"noop.{partition}.{entry_id}"
    assert last.slot_ms == slot_of(first, rt)


def test_only_the_newest_of_missed_slots_fires(rt: RipTide, deployment: Deployment) -> None:
    schedules = process(rt, RARE)
    rt.store.run(schedules._record(RARE, slot_of(schedules, rt, back=10), ""))
    (fired,) = rt.store.drive(schedules.look())
    assert fired.slot == slot_text(slot_of(schedules, rt))
    assert rt.store.drive(schedules.look()) == []
    assert len(deployment.entries("noop")) == 1


def test_a_slot_ahead_of_the_servers_clock_is_refused(rt: RipTide) -> None:
    schedules = process(rt, RARE)
    assert rt.store.run(schedules._record(RARE, slot_of(schedules, rt, back=-1), "")) == -1
    assert rt.store.run(schedules.state()).last == {}
    slot = slot_of(schedules, rt)
    assert rt.store.run(schedules._record(RARE, slot, "")) == 1
    assert rt.store.run(schedules._record(RARE, slot, "again")) == 0
    assert rt.store.run(schedules._record(RARE, slot - 1, "older")) == 0


def test_what_came_before_an_entry_was_first_seen_is_not_made_up_for(
    rt_on_valkey: RipTide, on_valkey: Deployment
) -> None:
    rt = rt_on_valkey
    entry = Scheduled("rare", Every(STEP), Noop)
    schedules = process(rt, entry)
    assert schedules.due(0)
    assert rt.store.drive(schedules.look()) == []
    state = rt.store.run(schedules.state())
    assert state.last["rare"].ref is None
    assert not schedules.due(state.now_ms)
    assert schedules.due(slot_of(schedules, rt, back=-1))
    assert on_valkey.entries("noop") == []


def test_a_flushed_server_costs_no_slot(rt_on_valkey: RipTide, on_valkey: Deployment) -> None:
    """A process knows what it has seen itself."""
    rt = rt_on_valkey
    entry = Scheduled("often", Every(1), Noop)
    schedules = process(rt, entry)
    rt.store.drive(schedules.look())
    seen = rt.store.run(schedules.state()).last["often"].slot_ms
    on_valkey.client.delete(on_valkey.keys.control("schedules"))
    eventually(lambda: rt.store.run(schedules.state()).now_ms >= seen + 1000, "the next second")
    assert len(rt.store.drive(schedules.look())) == 1


def test_what_cannot_be_published_is_tried_again_and_holds_up_no_other(
    rt_on_valkey: RipTide, on_valkey: Deployment
) -> None:
    rt, client = rt_on_valkey, on_valkey.client
    effect = Scheduled("effect", Every(STEP), Effect, body={"into": "{slot}"}, at_start=True)
    blocked = on_valkey.keys.commands("effect", "10")
    client.set(blocked, "no stream")
    schedules = process(rt, effect, RARE)
    refused, fired = rt.store.drive(schedules.look())
    assert isinstance(refused.error, RiptideError)
    assert fired.error is None
    assert schedules.due(0), "it is looked at again"
    client.delete(blocked)
    (late,) = rt.store.drive(schedules.look())
    assert late.name == "effect"
    assert not schedules.due(0)


async def test_every_worker_looks_and_each_slot_fires_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three workers, one of them on a host whose clock is an hour ahead, and another an hour behind."""
    offsets = iter((0, HOUR * 1000, -HOUR * 1000))

    class Clock(SystemClock):
        def __init__(self) -> None:
            self._offset = next(offsets)

        def now_ms(self) -> int:
            return super().now_ms() + self._offset

    settings = with_entries(
        deployment.settings(**SHORT),
        often={"every": 1, "command": "effect", "body": {"into": f"{deployment.prefix}:{{slot}}"}},
    )
    monkeypatch.setattr(workers, "SystemClock", Clock)

    def slots() -> Counter[str]:
        """How often each was published; an entry without a body is one that was put back."""
        found = [fields.get(b"body") for _, _, fields in deployment.entries("effect")]
        bodies = [body.decode() for body in found if body is not None]
        return Counter(Effect.parse(1, body).into for body in bodies)

    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(running_worker(settings))

        def three_done() -> bool:
            return sum(bool(deployment.done(slot)) for slot in slots()) >= 3

        await aeventually(lambda: asyncio.to_thread(three_done), "three slots, carried out")
    now_ms = round(deployment.server_seconds() * 1000)
    fired = await asyncio.to_thread(slots)
    assert set(fired.values()) == {1}
    names = [name.rpartition(f"{deployment.prefix}:")[2] for name in fired]
    assert max(map(datetime.fromisoformat, names)) <= datetime.fromisoformat(slot_text(now_ms))


def test_the_built_in_ones(on_valkey: Deployment) -> None:
    """Those whose handler comes later publish nothing; the cache is warmed, of every tenant."""
    settings = on_valkey.settings()
    models = load_models(settings.workers.modules)
    off = {entry.name: entry.off for entry in entries(settings, models)}
    assert off == {
        "warm": "cache.enable_warming is off",
        "checkpoint": None,
        "close_period": None,
    }
    warm, _, close = entries(on_valkey.settings(cache={"enable_warming": True}), models)
    assert (warm.off, warm.at_start) == (None, True)
    assert warm.outgoing(0).command == riptide.Warm(source="all")
    several = on_valkey.settings(cache={"enable_warming": True}, tenant={"enabled": True})
    each = entries(several, models)[0].outgoing(0)
    assert (each.command, each.tenant) == (riptide.Warm(source="all", every_tenant=True), "default")
    closing = close.outgoing(close.timing.newest(1_793_500_000_000) or 0).command
    assert closing == riptide.ClosePeriod(period="2026-10")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"every": 1, "command": "nothing"}, "no command is of type 'nothing'; known are"),
        ({"every": 1, "command": "effect"}, r"mine\.body: into: Field required"),
        ({"every": 1, "command": "warm", "body": {"source": "x"}}, r"mine\.body: source: Input should be"),
    ],
)
def test_an_entry_that_could_never_be_published_is_refused(
    on_valkey: Deployment, entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        schedules_of(with_entries(on_valkey.settings(), mine=entry))
    with pytest.raises(ConfigError, match="of that name already"):
        schedules_of(with_entries(on_valkey.settings(), warm={"every": 1, "command": "noop"}))
