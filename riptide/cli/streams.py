"""`riptide streams`: how the streams stand."""

import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from riptide.cli import common
from riptide.reads.sync_client import RipTide
from riptide.store.keys import Keys
from riptide.streams.overview import StreamState, overview
from riptide.streams.registry import load_models

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
            _print(states, _rates(before, states), as_json=as_json)
            return
        try:
            with Live(console=common.console, auto_refresh=False) as live:
                while True:
                    states = _look(rt, keys, kinds)
                    live.update(table(states, _rates(before, states)), refresh=True)
                    before = _delivered(states)
                    time.sleep(1)
        except KeyboardInterrupt:
            return


def _look(rt: RipTide, keys: Keys, kinds: list[str]) -> list[StreamState]:
    return rt.store.drive(overview(keys, kinds))


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


def _print(states: list[StreamState], rates: dict[str, float], *, as_json: bool) -> None:
    if as_json:
        common.print_json([asdict(state) | {"per_second": rates.get(state.kind)} for state in states])
    else:
        common.console.print(table(states, rates))


def table(states: list[StreamState], rates: dict[str, float]) -> Table:
    """The states as a table, a row per type."""
    # Without lines it fits into 80 columns.
    shown = Table(title="Streams", title_justify="left", box=None, pad_edge=False)
    shown.add_column("type", no_wrap=True)
    for name in ("lag", "pending", "oldest", "rate/s", "workers", "retries", "dead", "entries"):
        shown.add_column(name, justify="right")
    for state in states:
        rate = rates.get(state.kind)
        shown.add_row(
            state.kind,
            "?" if state.lag is None else f"{state.lag:,}",
            f"{state.pending:,}",
            common.duration(state.oldest_seconds),
            "-" if rate is None else f"{rate:,.0f}",
            str(state.consumers),
            f"{state.retries:,}",
            f"[red]{state.dead:,}[/red]" if state.dead else "0",
            f"{state.entries:,}",
        )
    return shown
