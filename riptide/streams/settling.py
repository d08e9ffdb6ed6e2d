"""Settles outcomes in groups: what ends while one group is on its way goes with the next, in one round trip."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence

import structlog

from riptide.errors import RiptideError, ServerRefused
from riptide.store.aio import AsyncStore
from riptide.streams.completion import FENCED, Completion
from riptide.streams.job import Again, Buried, Outcome
from riptide.streams.message import Entry

_LONGEST_PAUSE = 1.0

Settled = Sequence[tuple[Entry, Outcome]]


class Settler:
    """`fenced()` is called when the server says that this consumer was taken over, `settled()` after outcomes are in place."""

    def __init__(
        self,
        store: AsyncStore,
        completion: Completion,
        fenced: Callable[[], None],
        settled: Callable[[Settled], None],
    ) -> None:
        self._store = store
        self._completion = completion
        self._fenced = fenced
        self._settled = settled
        self._waiting: list[tuple[Settled, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("riptide.worker")
        self._rng = random.Random()

    async def settle(self, outcomes: Settled) -> None:
        """Returns when the outcomes are in place, or this consumer has been fenced off."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, done))
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())
        await done

    async def _flush(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._carry_out([pair for outcomes, _ in group for pair in outcomes])
                for _, done in group:
                    if not done.done():
                        done.set_result(None)
        finally:
            self._flushing = None

    async def _carry_out(self, outcomes: Settled) -> None:
        """Try until the server answers."""
        for failures in itertools.count(1):
            try:
                await self._once(outcomes)
                return
            except RiptideError as error:
                self._log.warning("cannot settle yet", error=str(error), failures=failures)
                await asyncio.sleep(self._rng.uniform(0, min(_LONGEST_PAUSE, 0.05 * 2 ** min(failures, 10))))

    async def _once(self, outcomes: Settled) -> None:
        try:
            replies = await self._store.run_all(self._completion.settle(outcomes))
        except ServerRefused as error:
            if len(outcomes) > 1:  # one of them is refused: the others must not suffer for it
                for outcome in outcomes:
                    await self._once([outcome])
                return
            # It stays pending, and is tried again by whoever takes this worker over.
            self._log.error(
                "cannot settle", entry=outcomes[0][0].id, kind=outcomes[0][0].kind, error=str(error)
            )
            return
        if FENCED in replies:
            self._fenced()
        else:
            self._report(outcomes)
            self._settled(outcomes)

    def _report(self, outcomes: Settled) -> None:
        for entry, outcome in outcomes:
            match outcome:
                case Buried(reason, error):
                    self._log.error(
                        "dead letter", kind=entry.kind, entry=entry.id, reason=reason, error=error
                    )
                case Again(delay, error):
                    self._log.warning(
                        "will retry", kind=entry.kind, entry=entry.id, delay=round(delay, 3), error=error
                    )
