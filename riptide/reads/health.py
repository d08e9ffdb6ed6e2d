"""How everything stands that a process needs: for `/health`, for operators, and for whoever decides by it.

It is told in components, each with what to do. Nothing here raises, and nothing waits for a dead server.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.reads.assembly import Parts
from riptide.store.breaker import Guard
from riptide.store.operation import Flow, ask
from riptide.streams.members import Member, Members
from riptide.streams.overview import StreamState, overview
from riptide.tenants.quotas.amounts import RATES
from riptide.tenants.quotas.limits import Limits

if TYPE_CHECKING:
    from riptide.reads.aio_client import AsyncRipTide
    from riptide.reads.sync_client import RipTide

State = Literal["ok", "degraded", "down"]
#: How old an answer may be, and how long one is waited for.
FRESH_SECONDS, PATIENCE_SECONDS = 1.0, 1.0
#: Counting backlogs looks at every stream.
_BACKLOG_SECONDS = 10.0
_NEARLY_FULL = 0.8


@dataclass(frozen=True, slots=True)
class Component:
    """`says` how it stands, in a sentence; `advice` what to do, where something is to be done; `facts` are
    figures."""

    state: State
    says: str
    advice: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """`degraded`: the service serves, with less than all of it. `down`: what it is configured to need is not
    there."""

    state: State
    components: Mapping[str, Component]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@overload
def health(rt: "RipTide") -> Health: ...
@overload
def health(rt: "AsyncRipTide") -> Awaitable[Health]: ...
def health(rt: "RipTide | AsyncRipTide") -> Health | Awaitable[Health]:
    """That of a connection; of an asynchronous one, awaited."""
    return rt.health()


class Looking:
    """Builds the flow, for both faces; remembers backlogs for a while."""

    def __init__(self, parts: Parts, guard: Guard, writes: Callable[[], int]) -> None:
        """`writes` answers how many are buffered."""
        self._parts, self._guard, self._writes = parts, guard, writes
        self._members = Members(parts.keys)
        #: What this process knows by itself; further components may be added.
        self.told: dict[str, Callable[[], Component]] = {
            "configuration": lambda: _configuration(parts),
            "write-behind": self._buffered_writes,
            "usage": self._buffered_usage,
        }
        self._backlog: tuple[float, list[StreamState]] | None = None

    def look(self) -> Flow[Health]:
        settings, found = self._parts.settings, self._own()
        if settings.enable_persistence:
            try:
                yield from self._ask(found)
            except RiptideError as error:
                found["server"] = self._gone(str(error))
            except Exception as error:  # noqa: BLE001 - who asks for health gets an answer
                found["server"] = Component("down", f"it could not be looked at: {error!r}")
        return Health(_state(settings, found), found)

    def unanswered(self) -> Health:
        """What is told while nothing is heard from the server."""
        found = self._own()
        found["server"] = self._gone(f"it did not answer within {PATIENCE_SECONDS:g} s")
        return Health(_state(self._parts.settings, found), found)

    def _own(self) -> dict[str, Component]:
        return {name: _told(tell) for name, tell in self.told.items()}

    def _buffered_writes(self) -> Component:
        most = self._parts.settings.cache.write_behind_max_entries
        return _buffered("writes", self._writes(), most, "cache.write_behind_max_entries")

    def _buffered_usage(self) -> Component:
        most, buffer = self._parts.settings.api.usage_max_waiting, self._parts.usage.buffer
        return _buffered("usage records", buffer.waiting, most, "api.usage_max_waiting", buffer.refused)

    def _gone(self, why: str) -> Component:
        outages = [asdict(outage) for outage in self._guard.outages()]
        advice = (
            "check redis.url and that the server runs, or ask `riptide doctor`; it is used again by itself"
        )
        return Component("down", f"the server cannot be used: {why}", advice, {"breaker": outages})

    def _ask(self, found: dict[str, Component]) -> Flow[None]:
        settings, started = self._parts.settings, time.perf_counter()
        census = yield from ask(self._members.census())
        found["server"] = self._server(time.perf_counter() - started)
        lease = settings.workers.lease_seconds
        living = [one for one in census.members if one.role == "worker" and one.silent_seconds <= lease]
        found["workers"] = _workers(living, len(census.members))
        if self._backlog is None or time.monotonic() - self._backlog[0] > _BACKLOG_SECONDS:
            states = yield from overview(self._parts.keys, self._parts.kinds)
            self._backlog = time.monotonic(), states
        found["backlog"] = _backlog(settings, self._backlog[1], living)

    def _server(self, seconds: float) -> Component:
        facts: dict[str, Any] = {"ping_ms": round(seconds * 1000, 2)}
        outages = facts["breaker"] = [asdict(outage) for outage in self._guard.outages()]
        if outages:
            nodes = ", ".join(outage["node"] for outage in outages)
            return Component("degraded", f"nodes cannot be reached: {nodes}", "check these nodes", facts)
        slow = self._parts.settings.performance.slow_threshold_ms
        if facts["ping_ms"] > slow:
            text = f"the server answers slowly, in {facts['ping_ms']:g} ms"
            return Component(
                "degraded", text, "see what it is busy with: SLOWLOG GET, its CPU, its disk", facts
            )
        return Component("ok", "the server answers", facts=facts)


def _configuration(parts: Parts) -> Component:
    settings, restart = parts.settings, list(parts.live.restart)
    facts: dict[str, Any] = {"version": parts.live.version, "needs_restart": restart}
    if not settings.enable_persistence:
        return Component(
            "degraded", "persistence is switched off", "set enable_persistence, and restart", facts
        )
    if not settings.use_persistence_layer:
        text = "the service's own calls take their old path"
        return Component("degraded", text, "set use_persistence_layer; no restart is needed", facts)
    advice = f"restart when convenient, for {', '.join(restart)}" if restart else ""
    return Component("ok", "persistence is in use", advice, facts)


def _workers(living: Sequence[Member], listed: int) -> Component:
    facts = {"living": len(living), "silent": listed - len(living)}
    if living:
        return Component("ok", f"{len(living)} worker processes", facts=facts)
    return Component("degraded", "no worker lives: commands wait", "start some: `riptide worker`", facts)


def _backlog(settings: Settings, states: Sequence[StreamState], living: Sequence[Member]) -> Component:
    facts = {
        state.kind: {"waiting": state.lag, "retries": state.retries, "dead": state.dead}
        for state in states
        if state.entries or state.retries or state.dead
    }
    most = settings.streams.max_backlog
    full = [state.kind for state in states if most and (state.lag or 0) >= _NEARLY_FULL * most]
    if full:
        text = f"so many wait that streams.max_backlog may soon refuse more: {', '.join(full)}"
        return Component("degraded", text, "start more workers, or find out what holds them up", facts)
    served = {kind for member in living for kind in member.commands}
    idle = [state.kind for state in states if (state.lag or state.retries) and state.kind not in served]
    if idle:
        text = f"commands wait that no living worker serves: {', '.join(idle)}"
        return Component("degraded", text, "start workers for these types, or for all", facts)
    return Component("ok", "commands are being carried out", facts=facts)


def _buffered(what: str, waiting: int, most: int, setting: str, refused: int = 0) -> Component:
    """Of something that is buffered in this process, in plural: how much waits, how much may (by a setting),
    and how much found no room."""
    facts = {"waiting": waiting, "most": most, "refused": refused}
    if waiting >= _NEARLY_FULL * most:
        text = f"the buffer of {what} is nearly full: what finds no room waits, or is refused"
        return Component("degraded", text, f"see the server; or raise {setting}", facts)
    return Component("ok", f"{what} are buffered and sent", facts=facts)


def _told(tell: Callable[[], Component]) -> Component:
    try:
        return tell()
    except Exception as error:  # noqa: BLE001 - as above
        return Component("degraded", f"it could not be looked at: {error!r}")


def _state(settings: Settings, found: Mapping[str, Component]) -> State:
    server = found.get("server")
    if server is not None and server.state == "down":
        serves = settings.cache.on_outage == "miss" and not Limits(settings).closed(RATES)
        return "degraded" if serves else "down"
    return "ok" if all(one.state == "ok" for one in found.values()) else "degraded"
