"""Settles outcomes in groups: what ends while one group is on its way goes with the next, in one round
trip."""

import asyncio
import contextvars
import itertools
import random
from collections.abc import Callable, Iterable, Sequence

from riptide.errors import RiptideError, ServerUnavailable
from riptide.logger import get_logger
from riptide.store.aio import AsyncStore
from riptide.streams.completion import FENCED, Completion
from riptide.streams.effect import Undone, sort_out
from riptide.streams.job import DONE, Again, Applied, Buried, Elsewhere, Job, Outcome
from riptide.streams.message import Entry, claim_of, log_facts

_LONGEST_PAUSE = 1.0
_LONGEST_REFUSAL_PAUSE = 10.0
_TRIES_WHEN_REFUSED = 20

Settled = Sequence[tuple[Entry, Outcome]]


class Settler:
    """`fenced()` is called when the server says that this consumer was taken over, `settled()` after
    outcomes are in place."""

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
        self._waiting: list[tuple[Settled, asyncio.Future[None] | None]] = []
        self._flushing: asyncio.Task[None] | None = None
        #: Entries whose outcome the server refuses; at worst they wait until this worker is taken over.
        self.stuck: list[Entry] = []
        self._log = get_logger("riptide.worker")
        self._tries: dict[str, int] = {}
        self._rng = random.Random()
        self._stopped = False

    async def settle(self, outcomes: Settled) -> None:
        """Returns when the outcomes are in place, or this consumer has been fenced off, or is stopped."""
        if self._stopped:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(outcomes, done)
        await done

    async def vouch(self, entries: Iterable[Entry]) -> None:
        """Tell entries that were put back from those that only look like it; returns once that is known."""
        claims = [(entry, claim) for entry in entries if (claim := claim_of(entry))]
        for failures in itertools.count(1):
            try:
                if claims:
                    await self._store.run_all(self._completion.vouch(claims))
                return
            except RiptideError as error:
                self._log.warning("cannot check retries yet", error=str(error), failures=failures)
                await asyncio.sleep(self._pause(failures))

    async def report(self, jobs: Sequence[Job]) -> None:
        """Write what `jobs` have reached. Raises RiptideError."""
        await self._store.run_all([self._completion.progress(job) for job in jobs])

    def _enqueue(self, outcomes: Settled, done: asyncio.Future[None] | None = None) -> None:
        self._waiting.append((outcomes, done))
        if self._flushing is None:
            # Not in the context of whoever came first: what is logged there is about all.
            empty = contextvars.Context()
            self._flushing = asyncio.get_running_loop().create_task(self._flush(), context=empty)

    def stop(self) -> None:
        """Give up what is not in place yet, and what still comes: it stays pending, for whoever takes this
        worker over."""
        self._stopped = True
        if self._flushing is not None:
            self._flushing.cancel()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._carry_out([pair for outcomes, _ in group for pair in outcomes])
                for _, done in group:
                    if done is not None and not done.done():
                        done.set_result(None)
        finally:
            self._flushing = None

    async def _carry_out(self, outcomes: Settled) -> None:
        """Try until the server answers."""
        for failures in itertools.count(1):
            try:
                await self._once(outcomes)
                return
            except ServerUnavailable as error:
                self._log.warning("cannot settle yet", error=str(error), failures=failures)
                await asyncio.sleep(self._pause(failures))

    def _pause(self, failures: int) -> float:
        return self._rng.uniform(0, min(_LONGEST_PAUSE, 0.05 * 2 ** min(failures, 10)))

    async def _once(self, outcomes: Settled) -> None:
        try:
            replies = await self._store.run_all(self._completion.settle(outcomes))
        except ServerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others must not suffer for what is wrong with one
            if len(outcomes) > 1:
                for outcome in outcomes:
                    await self._once([outcome])
            else:
                self._refused(outcomes, error)
            return
        if self.stuck:
            settled = {entry.id for entry, _ in outcomes}
            self.stuck = [entry for entry in self.stuck if entry.id not in settled]
        if FENCED in replies:
            self._fenced()
        else:
            again: Settled = ()
            if undone := [reply for reply in replies if isinstance(reply, Undone)]:
                outcomes, again = sort_out(outcomes, undone)
            self._report(outcomes)
            self._settled(outcomes)
            if again:
                await self._once(again)

    def _refused(self, outcomes: Settled, error: Exception) -> None:
        """A server that was demoted, or whose disk is full, refuses for a while only: ask again later."""
        entry, _ = outcomes[0]
        if entry not in self.stuck:
            self.stuck.append(entry)
            self._tries[entry.id] = 0
        self._tries[entry.id] += 1
        self._log.error("cannot settle", **log_facts(entry), error=str(error))
        if self._tries[entry.id] < _TRIES_WHEN_REFUSED:
            pause = self._rng.uniform(0.5, 1) * min(_LONGEST_REFUSAL_PAUSE, 0.1 * 2 ** self._tries[entry.id])
            asyncio.get_running_loop().call_later(pause, self._enqueue, outcomes)

    def _report(self, outcomes: Settled) -> None:
        for entry, outcome in outcomes:
            if outcome is DONE or type(outcome) is Applied:
                continue
            match outcome:
                case Buried(reason, error):
                    self._log.error("dead letter", **log_facts(entry), reason=reason, error=error)
                case Again(delay, error) | Elsewhere(delay, error):
                    self._log.warning("will retry", **log_facts(entry), delay=round(delay, 3), error=error)
