"""Looks for what is to be told: a thread of every worker of which one is at work, where there is a webhook.

What is to be told is remembered first, then published as `notify` with an idempotency key made of that
memory, then marked as told. So whoever dies in between leaves it to the next one, and it is one command all
the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from riptide.config import Settings
from riptide.errors import Stopped
from riptide.names import DEFAULT_TENANT
from riptide.reads.metrics.standing import Standing, standings
from riptide.reads.webhooks.deciding import LEVELS, Seen, State, changes, key_of, notice, read_state
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Flow, Operation, ask
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.streams.overview import overview
from riptide.streams.publishing import Outgoing, Publisher
from riptide.streams.registry import load_models
from riptide.tenants.accounts.keeping import Keeping

_REMEMBER = Script.load("riptide.reads.webhooks", "remember.lua")
_REMEMBERED = Script.load("riptide.reads.webhooks", "remembered.lua")
_KIND = "notify"


class Watch(Keeping):
    """Looks until `stop()`. `name` tells it from those of other processes."""

    def __init__(self, settings: Settings, publisher: Publisher, name: str) -> None:
        super().__init__(settings, "webhooks", name, "riptide.webhooks")
        self._publisher = publisher
        # Dead letters of notices would be told of by notices.
        self._kinds = [kind for kind in load_models(settings.workers.modules) if kind != _KIND]

    def _look(self, store: Store) -> float:
        try:
            told = store.drive(self.look())
        except Stopped:
            return 0.0
        if told:
            self._log.info("notices published", count=told)
        return self._settings.webhooks.check_seconds

    def look(self) -> Flow[int]:
        """Publish what is to be told; answers how much. Raises Stopped, ServerUnavailable, PublishRefused."""
        before, now_ms = yield from ask(_remembered(self._keys))
        seen = yield from self._seen(now_ms)
        window_ms = self._settings.webhooks.window_seconds * 1000
        new = changes(before, seen, now_ms, window_ms)
        yield from self._remember(new)
        after: dict[str, State | None] = {**before, **new}
        count = 0
        for one in seen:
            state = after.get(one.name)
            if state is not None and not state.told and state.level == one.level:
                keep = 2 * self._settings.webhooks.window_seconds
                outgoing = Outgoing(notice(one, state), one.tenant)
                yield from self._publisher.publish(outgoing, key_of(one, state), keep)
                yield from self._remember({one.name: State(state.level, state.since_ms, told=True)})
                count += 1
        return count

    def _seen(self, now_ms: int) -> Flow[list[Seen]]:
        tenants = yield from standings(self._keys, self._settings, now_ms, self._stopped.is_set)
        streams = yield from overview(self._keys, self._kinds)
        return [
            *(seen for one in tenants for seen in _of_tenant(one)),
            *(
                Seen(
                    f"dead:{one.kind}",
                    one.dead,
                    {"event": "dead_letters", "kind": one.kind, "count": one.dead},
                    grows=True,
                )
                for one in streams
            ),
        ]

    def _remember(self, states: Mapping[str, State | None]) -> Flow[None]:
        if states:
            gone = [name for name, state in states.items() if state is None]
            kept = [part for name, state in states.items() if state for part in (name, state.text())]
            args: list[Arg] = [len(gone), *gone, *kept]
            yield from ask(_REMEMBER.call([self._keys.control("webhooks")], args, int))


def _of_tenant(one: Standing) -> Iterator[Seen]:
    facts = one.facts
    whose = f"{facts.tenant}:{facts.incarnation}"
    tenant = None if facts.tenant == DEFAULT_TENANT else facts.tenant
    for resource, share in one.usage.items():
        level = next((level for level in LEVELS if share * 100 >= level), 0)
        if level:
            about = {"event": "quota", "resource": resource, "level": level, "share": int(share * 100)}
            yield Seen(f"quota:{whose}:{resource}", level, about, tenant)
    if facts.status == "suspended":
        yield Seen(f"suspended:{whose}", 1, {"event": "suspended", "why": facts.why}, tenant)


def _remembered(keys: Keys) -> Operation[tuple[dict[str, State], int]]:
    def parse(reply: Sequence[Any]) -> tuple[dict[str, State], int]:
        now_ms, *flat = reply
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return {name.decode(): read_state(state.decode()) for name, state in pairs}, now_ms

    return _REMEMBERED.call([keys.control("webhooks")], [], parse)
