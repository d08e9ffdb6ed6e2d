"""What a user sees meanwhile: a live table in a terminal, lines elsewhere."""

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scripts.demo.facts import Facts, Step

_MARKS = {"open": Text("·", "dim"), "running": Text("●", "cyan"), "ended": Text("✓", "green")}
_FRAMES_PER_SECOND = 4
_LINE_SECONDS = 2.0
_BAR_WIDTH = 24
_NAME_WIDTH = 20


class Screen:
    """The live table. `tell` names what is being waited for before and after the story."""

    def __init__(self, console: Console, facts: Facts) -> None:
        self._console, self._facts, self._text = console, facts, ""
        self._live: Live | None = None

    def tell(self, text: str) -> None:
        self._text = text
        if self._live is None:
            self._console.print(Text(text, "dim"))

    def __enter__(self) -> Self:
        self._text = ""
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
        )
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._live is not None
        self._live.stop()
        self._live = None

    def _render(self) -> RenderableType:
        facts = self._facts
        if not facts.steps:
            return Text(self._text, "dim")
        parts: list[RenderableType] = [
            _head(facts),
            _steps(facts),
            Text(),
            _streams(facts),
            Text(),
            _workers(facts),
            Text(),
        ]
        return Group(*parts, _numbers(facts))


class Lines:
    """The same where no terminal is: a line for each step, and for each long one how far it is."""

    def __init__(self, console: Console, facts: Facts) -> None:
        self._console, self._facts = console, facts
        self._said: dict[str, str] = {}

    def tell(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        progress = time.monotonic() + _LINE_SECONDS
        while not self._end.wait(1 / _FRAMES_PER_SECOND):
            for step in self._facts.steps:
                if step.state == "ended":
                    self._say(step.name, step.text)
                elif step.state == "running" and time.monotonic() > progress:
                    self._say(step.name, f"{step.done} of {step.total}")
                    progress = time.monotonic() + _LINE_SECONDS
        for step in self._facts.steps:
            if step.state == "ended":
                self._say(step.name, step.text)

    def _say(self, name: str, text: str) -> None:
        if self._said.get(name) != text:
            self._said[name] = text
            self.tell(f"{name:20} {text}")


def open_screen(console: Console, facts: Facts) -> Screen | Lines:
    return Screen(console, facts) if console.is_terminal else Lines(console, facts)


def milliseconds(seconds: float) -> str:
    """A latency as people read it."""
    number = seconds * 1000
    return f"{number:.2f} ms" if number < 10 else f"{number:.0f} ms"


def _head(facts: Facts) -> Table:
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    passed = int(time.monotonic() - facts.started)
    head.add_row(Text("RipTide", "bold cyan"), Text(f"{passed // 60:02}:{passed % 60:02}", "dim"))
    return head


def _steps(facts: Facts) -> Table:
    steps = Table.grid(padding=(0, 1))
    steps.add_column()
    steps.add_column(no_wrap=True)
    steps.add_column(no_wrap=True, overflow="ellipsis")
    for step in facts.steps:
        steps.add_row(_MARKS[step.state], Text(step.name, "dim" if step.state == "open" else ""), _said(step))
    return steps


def _said(step: Step) -> RenderableType:
    if step.state != "running":
        return Text(step.text, "dim")
    if not step.total:
        return Text("…", "dim")
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(step.total, step.done, width=_BAR_WIDTH), Text(f"{step.done} of {step.total}", "dim")
    )
    return bar


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    for at, column in enumerate(columns):
        first = at == 0
        table.add_column(
            column, justify="left" if first else "right", min_width=_NAME_WIDTH if first else 9, no_wrap=True
        )
    return table


def _streams(facts: Facts) -> Table:
    table = _table("streams", "waiting", "running", "retrying", "dead", "done/s")
    for state in facts.streams:
        lag = "many" if state.lag is None else f"{state.lag:,}"
        rate = f"{facts.rates.get(state.kind, 0):,.0f}"
        table.add_row(state.kind, lag, f"{state.pending:,}", f"{state.retries:,}", f"{state.dead:,}", rate)
    return table


def _workers(facts: Facts) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    table.add_column("workers", min_width=_NAME_WIDTH, max_width=32, no_wrap=True, overflow="ellipsis")
    table.add_column("carry out", no_wrap=True, overflow="ellipsis")
    table.add_column("for", justify="right", no_wrap=True)
    for member in facts.members:
        table.add_row(member.name, Text(", ".join(member.commands), "dim"), f"{member.age_seconds:.0f} s")
    return table


def _numbers(facts: Facts) -> Table:
    numbers = Table.grid(padding=(0, 1))
    numbers.add_column(min_width=_NAME_WIDTH, no_wrap=True, style="dim")
    numbers.add_column(no_wrap=True)
    for name, text in measured(facts).items():
        numbers.add_row(name, text)
    return numbers


def measured(facts: Facts) -> dict[str, str]:
    """What has been measured, in words, by what it is about."""
    reads = facts.stats.hits + facts.stats.misses
    stats, share = facts.stats, facts.stored_bytes / max(1, facts.value_bytes)
    bytes_ = f"{decimal(facts.value_bytes)}, stored as {decimal(facts.stored_bytes)} ({share:.0%})"
    faster = f", {facts.speedup:,.0f} times as fast" if facts.speedup else ""
    return {
        "entries": f"{facts.entries}, {bytes_}" if facts.entries else "-",
        "reads": f"{reads:,}, {stats.hit_rate:.1%} hits" if reads else "-",
        "origin": _latency(facts.origin.quantile(0.5), facts.origin.quantile(0.95)),
        "cache": _latency(facts.cache.quantile(0.5), facts.cache.quantile(0.95)) + faster,
        "stale reads": f"{facts.counts['stale']:,} of {facts.judged:,} after an invalidation"
        if facts.judged
        else "-",
    }


def _latency(median: float, slow: float) -> str:
    return f"median {milliseconds(median)}, p95 {milliseconds(slow)}" if median else "-"
