"""The inline worker for tests that are not asynchronous."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from riptide.config import Settings
from riptide.reads.assembly import assemble
from riptide.reads.sync_client import RipTide
from riptide.store.sync import open_store
from riptide.testing.clock import MovableClock
from riptide.testing.inline import AsyncInlineWorker, inline_aworker
from riptide.testing.run import Run


class InlineWorker:
    """As AsyncInlineWorker, for a caller without an event loop; handlers run in one of its own."""

    def __init__(self, worker: AsyncInlineWorker, rt: RipTide, runner: asyncio.Runner) -> None:
        self.rt, self.clock, self.settings = rt, worker.clock, worker.settings
        self._worker = worker
        self._runner = runner

    def drain(self) -> list[Run]:
        """Carry out all that is due by the clock, until nothing is."""
        return self._runner.run(self._worker.drain())

    def run_until_idle(self) -> list[Run]:
        """The same, moving the clock on to whatever is left for later, until every command has ended."""
        return self._runner.run(self._worker.run_until_idle())


@contextmanager
def inline_worker(settings: Settings, clock: MovableClock | None = None) -> Iterator[InlineWorker]:
    """An inline worker for synchronous code. Raises ConfigError."""
    clock = clock or MovableClock()
    with asyncio.Runner() as runner, RipTide(assemble(None, settings, clock), open_store(settings)) as rt:
        opened = inline_aworker(settings, clock)
        worker = runner.run(opened.__aenter__())
        try:
            yield InlineWorker(worker, rt, runner)
        finally:
            runner.run(opened.__aexit__(None, None, None))
