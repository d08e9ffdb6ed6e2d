"""One process asks for all: whoever finds the shared figures out of date, and has the lease for it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from riptide.config import Settings
from riptide.reads.metrics.asking import Asking
from riptide.reads.metrics.figures import Figures, unpack
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.tenants.accounts.keeping import lease

_READ = Script.load("riptide.reads.metrics", "read_figures.lua")
_KEEP = Script.load("riptide.reads.metrics", "keep_figures.lua")
_LEASE_MS = 30_000
_KEPT_INTERVALS = 10


class Shared(NamedTuple):
    """The newest figures that there are, and the server's time (ms)."""

    figures: Figures | None
    now_ms: int


def shared(
    keys: Keys, settings: Settings, asking: Asking, who: str, stopped: Callable[[], bool]
) -> Flow[Shared]:
    """The shared figures, asked for anew if they are older than `performance.metrics_interval_seconds` and
    nobody else is at it. `who` tells the process from others. Raises Stopped, ServerUnavailable."""
    found = yield from ask(_read(keys))
    interval = settings.performance.metrics_interval_seconds
    if found.figures is not None and found.now_ms - found.figures.at_ms < interval * 1000:
        return found
    asker = keys.control("metrics:asker")
    if not (yield from ask(lease(asker, who, _LEASE_MS))):
        return found
    figures = yield from asking.ask(found.now_ms, found.figures, stopped)
    yield from ask(_KEEP.call([keys.control("metrics")], [figures.pack(), _KEPT_INTERVALS * interval], int))
    yield from ask(lease(asker, who, 0))
    return Shared(figures, found.now_ms)


def _read(keys: Keys) -> Operation[Shared]:
    def parse(reply: Any) -> Shared:
        data, now_ms = reply
        return Shared(unpack(data) if data else None, now_ms)

    return _READ.call([keys.control("metrics")], [], parse)
