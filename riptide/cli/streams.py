"""`riptide streams`: how the streams stand."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.reads.sync_client import RipTide
from riptide.store.keys import Keys
from riptide.streams.overview import StreamState, overview
from riptide.streams.registry import load_models
from riptide.streams.resting import Pause

Delivered = dict[str, tuple[float, int]]


def streams_command(
    watch: Annotated[bool, typer.Option("--watch", help="Go on, once a second, until Ctrl-C.")] = False,
    as_json: common.Json = False,
) -> None:
    """Show each type's backlog, what is being worked on, retries, dead letters, and rates.

    lag: not yet seen by a worker; pending: being worked on; oldest: age of the oldest unfinished one; rate:
    handed to workers per second, measured between two looks.
    """
    with common.client() as (rt, keys):
        kinds = sorted(load_models(rt.settings.workers.modules))
        before = _delivered(_look(rt, keys, kinds))
        time.sleep(0.5 if not watch else 0)
        if not watch:
            states = _look(rt, keys, kinds)
            _print(states, _rates(before, states), rt.paused(), as_json=as_json)
            return
        try:
            with Live(console=common.console, auto_refresh=False) as live:
                while True:
                    states = _look(rt, keys, kinds)
                    live.update(_shown(states, _rates(before, states), rt.paused()), refresh=True)
                    before = _delivered(states)
                    time.sleep(1)
        except KeyboardInterrupt:
            return


def _look(rt: RipTide, keys: Keys, kinds: list[str]) -> list[StreamState]:
    return rt.store.drive(overview(keys, kinds, rt.settings.streams))


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


def _print(
    states: list[StreamState], rates: dict[str, float], paused: Mapping[str, Pause], *, as_json: bool
) -> None:
    if not as_json:
        common.console.print(_shown(states, rates, paused))
        return
    rows = []
    for state in states:
        pause = paused.get(state.kind)
        more = {"per_second": rates.get(state.kind), "paused": None if pause is None else asdict(pause)}
        rows.append(asdict(state) | more)
    common.print_json(rows)


def _notes(states: list[StreamState], paused: Mapping[str, Pause]) -> list[str]:
    """Which group keeps a stream from being trimmed; who paused what, and why."""
    lines = [
        f"{state.kind} is kept beyond its replay window for the group {state.pinned_by}"
        for state in states
        if state.pinned_by
    ]
    return lines + [
        f"{pause.kind} is paused since {common.moment(pause.at_ms)} UTC by {pause.by}"
        + (f": {pause.why}" if pause.why else "")
        for pause in paused.values()
    ]


def _shown(states: list[StreamState], rates: dict[str, float], paused: Mapping[str, Pause]) -> Group:
    """The states as a table, a row per type, and what is to be said of some."""
    # Without lines it fits into 80 columns.
    shown = Table(title="Streams", title_justify="left", box=None, pad_edge=False)
    shown.add_column("type", no_wrap=True)
    for name in ("lag", "pending", "oldest", "rate/s", "workers", "retries", "dead", "entries"):
        shown.add_column(name, justify="right")
    for state in states:
        rate = rates.get(state.kind)
        shown.add_row(
            f"[yellow]{state.kind}[/yellow]" if state.kind in paused else state.kind,
            "?" if state.lag is None else f"{state.lag:,}",
            f"{state.pending:,}",
            common.duration(state.oldest_seconds),
            "-" if rate is None else f"{rate:,.0f}",
            str(state.consumers),
            f"{state.retries:,}",
            f"[red]{state.dead:,}[/red]" if state.dead else "0",
            f"{state.entries:,}",
        )
    return Group(shown, *map(Text, _notes(states, paused)))
