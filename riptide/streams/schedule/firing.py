"""Publishes what is due, once per slot however many processes look, and remembers it in the control slot.

No leader: whoever looks first publishes, under an idempotency key made of the slot's name, and then moves the
last slot forward. One that is killed between the two leaves a slot that the next one publishes again, into
the same command. Only the server's clock counts: what a host thinks of the time is not asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commands import Command
from riptide.clock import Clock
from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.names import DEFAULT_TENANT
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.streams.message import Ref
from riptide.streams.publishing import Publisher
from riptide.streams.schedule.entries import Scheduled, entries
from riptide.streams.schedule.timing import NEVER, slot_text

_STATE = Script.load("riptide.streams", "schedule_state.lua")
_RECORD = Script.load("riptide.streams", "schedule_record.lua")
_LONGEST_SECONDS = 100 * 366 * 86400


@dataclass(frozen=True, slots=True)
class Last:
    """The newest slot that was published, or left out; `ref` is what was published, if something was."""

    slot_ms: int
    ref: str | None


@dataclass(frozen=True, slots=True)
class State:
    """The server's time, and the last slot of each schedule that has had one."""

    now_ms: int
    last: Mapping[str, Last]


@dataclass(frozen=True, slots=True)
class Fired:
    """One slot that was due: what was published for it, or why that failed. `first`: this process was
    the first to say so."""

    name: str
    slot: str
    ref: Ref | None = None
    first: bool = False
    error: RiptideError | None = None


class Schedules:
    """All schedules of a deployment, as one process sees them."""

    def __init__(self, keys: Keys, publisher: Publisher, listed: Sequence[Scheduled]) -> None:
        self.listed = listed
        self._on = [entry for entry in listed if entry.off is None]
        self._key = keys.control("schedules")
        self._publisher = publisher
        #: What this process knows to be done, also where the server has lost it.
        self._done: dict[str, int] = {}
        self._next_ms = 0 if self._on else NEVER

    def due(self, now_ms: int) -> bool:
        """Whether something may be due at the server's time `now_ms`. Asks nobody."""
        return now_ms >= self._next_ms

    def look(self) -> Flow[list[Fired]]:
        """Publish what is due: of each schedule the newest slot at most. Raises RiptideError if the server
        cannot be asked."""
        state = yield from ask(self.state())
        fired = []
        for entry in self._on:
            slot, done = entry.timing.newest(state.now_ms), self._done_of(entry, state)
            if slot is None or (done is not None and slot <= done):
                continue
            if done is None and not entry.at_start:
                yield from ask(self._record(entry, slot, ""))
            else:
                fired.append((yield from self._fire(entry, slot)))
                if fired[-1].error is not None:
                    continue
            self._done[entry.name] = slot
        failed = any(one.error for one in fired)
        following = [entry.timing.following(state.now_ms) for entry in self._on]
        self._next_ms = 0 if failed else min(following, default=NEVER)
        return fired

    def _done_of(self, entry: Scheduled, state: State) -> int | None:
        known = [self._done[entry.name]] if entry.name in self._done else []
        if entry.name in state.last:
            known.append(state.last[entry.name].slot_ms)
        return max(known, default=None)

    def _fire(self, entry: Scheduled, slot: int) -> Flow[Fired]:
        name = slot_text(slot)
        # Remembered until the next slot takes its place, however far off that is.
        lifetime = min((entry.timing.following(slot) - slot) // 1000, _LONGEST_SECONDS)
        try:
            ref = yield from self._publisher.publish(
                entry.outgoing(slot), f"schedule:{entry.name}:{name}", at_least_seconds=lifetime
            )
            recorded = yield from ask(self._record(entry, slot, str(ref)))
        except RiptideError as error:  # the others are not to wait for it
            return Fired(entry.name, name, error=error)
        return Fired(entry.name, name, ref, recorded == 1)

    def state(self) -> Operation[State]:
        names = [entry.name for entry in self.listed]

        def parse(reply: Any) -> State:
            now, *last = reply
            return State(now, {name: _last(text) for name, text in zip(names, last, strict=True) if text})

        return _STATE.call([self._key], names, parse)

    def _record(self, entry: Scheduled, slot: int, ref: str) -> Operation[int]:
        return _RECORD.call([self._key], [entry.name, slot, ref], int)


def _last(text: bytes) -> Last:
    slot, _, ref = text.decode().partition(" ")
    return Last(int(slot), ref or None)


def open_schedules(settings: Settings, models: Mapping[str, type[Command]], clock: Clock) -> Schedules:
    """The schedules of a configuration. Raises ConfigError."""
    keys = Keys(settings.cache.key_prefix)
    only_tenant = None if settings.tenant.enabled else DEFAULT_TENANT
    publisher = Publisher(keys, settings.streams, models, clock, only_tenant)
    return Schedules(keys, publisher, entries(settings, models))
