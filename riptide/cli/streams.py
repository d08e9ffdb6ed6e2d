"""`riptide streams`: how the streams stand."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.reads.sync_client import RipTide
from riptide.state.archive.status import TypeArchive, type_archives
from riptide.store.keys import Keys
from riptide.streams.overview import StreamState, overview
from riptide.streams.registry import load_models
from riptide.streams.resting import Pause

Delivered = dict[str, tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Look:
    """How things stand at one moment: the streams, and by type which are archived, how fast workers are given
    commands (per second), and which are paused."""

    states: list[StreamState]
    archives: Mapping[str, TypeArchive]
    rates: Mapping[str, float]
    paused: Mapping[str, Pause]


def streams_command(
    watch: Annotated[bool, typer.Option("--watch", help="Go on, once a second, until Ctrl-C.")] = False,
    as_json: common.Json = False,
) -> None:
    """Show each type's backlog, what is being worked on, retries, dead letters, and rates.

    lag: not yet seen by a worker; pending: being worked on; oldest: age of the oldest unfinished one; rate:
    handed to workers per second, measured between two looks; archive: not yet copied to the archive, where
    the type is archived. --json gives exact numbers.

    Examples: 'riptide streams --watch'; in a script: 'riptide streams --json'.
    """
    with common.client() as (rt, keys):
        kinds = sorted(load_models(rt.settings.workers.modules))
        before = _delivered(_states(rt, keys, kinds))
        time.sleep(0.5 if not watch else 0)
        if not watch:
            _print(_look(rt, keys, kinds, before), as_json=as_json)
            return
        try:
            with Live(console=common.console, auto_refresh=False) as live:
                while True:
                    look = _look(rt, keys, kinds, before)
                    live.update(_shown(look), refresh=True)
                    before = _delivered(look.states)
                    time.sleep(1)
        except KeyboardInterrupt:
            return


def _states(rt: RipTide, keys: Keys, kinds: list[str]) -> list[StreamState]:
    return rt.store.drive(overview(keys, kinds, rt.settings.streams))


def _look(rt: RipTide, keys: Keys, kinds: list[str], before: Delivered) -> Look:
    states = _states(rt, keys, kinds)
    streams = rt.settings.streams
    archived = [kind for kind in streams.archive_types if streams.archive and kind in kinds]
    archives = {archive.kind: archive for archive in rt.store.drive(type_archives(keys, archived))}
    return Look(states, archives, _rates(before, states), rt.paused())


def _delivered(states: list[StreamState]) -> Delivered:
    now = time.monotonic()
    return {state.kind: (now, state.delivered) for state in states if state.delivered is not None}


def _rates(before: Delivered, states: list[StreamState]) -> dict[str, float]:
    now = time.monotonic()
    return {
        state.kind: max(
            0.0, (state.delivered - before[state.kind][1]) / max(now - before[state.kind][0], 1e-6)
        )
        for state in states
        if state.delivered is not None and state.kind in before
    }


def _print(look: Look, *, as_json: bool) -> None:
    if not as_json:
        common.console.print(_shown(look))
        return
    rows = []
    for state in look.states:
        pause, archive = look.paused.get(state.kind), look.archives.get(state.kind)
        rows.append(
            asdict(state)
            | {
                "per_second": look.rates.get(state.kind),
                "paused": None if pause is None else asdict(pause),
                "archive": None
                if archive is None
                else {"lag": archive.lag, "oldest_seconds": archive.oldest_seconds},
            }
        )
    common.print_json(rows)


def _notes(look: Look) -> list[str]:
    """Which group keeps a stream from being trimmed; who paused what, and why."""
    lines = [
        f"{state.kind} is kept beyond its replay window for the group {state.pinned_by}"
        for state in look.states
        if state.pinned_by
    ]
    return lines + [
        f"{pause.kind} is paused since {common.moment(pause.at_ms)} UTC by {pause.by}"
        + (f": {common.printable(pause.why)}" if pause.why else "")
        for pause in look.paused.values()
    ]


def _shown(look: Look) -> Group:
    """The states as a table, a row per type, and what is to be said of some."""
    # Without lines, and with short numbers, it fits into 80 columns.
    shown = Table(title="Streams", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    shown.add_column("type", no_wrap=True)
    names = ["lag", "pending", "oldest", "rate", "workers", "retries", "dead", "entries"]
    for name in names + ["archive"] * bool(look.archives):
        shown.add_column(name, justify="right")
    for state in look.states:
        rate = look.rates.get(state.kind)
        cells: list[str | Text] = [
            Text(state.kind, "yellow" if state.kind in look.paused else ""),
            _count(state.lag),
            _count(state.pending),
            common.duration(state.oldest_seconds),
            "-" if rate is None else _count(round(rate)),
            _count(state.consumers),
            _count(state.retries),
            Text(_count(state.dead), "red" if state.dead else ""),
            _count(state.entries),
        ]
        if look.archives:
            archive = look.archives.get(state.kind)
            cells.append("-" if archive is None else _count(archive.lag))
        shown.add_row(*cells)
    return Group(shown, *map(Text, _notes(look)))


def _count(number: int | None) -> str:
    """In five characters at most; None is more than can be told."""
    if number is None:
        return "?"
    if number < 10_000:
        return f"{number:,}"
    scaled, units = float(number), iter("kMGT")
    while scaled >= 999.5:
        scaled, unit = scaled / 1000, next(units)
    return f"{scaled:.3g}{unit}"
