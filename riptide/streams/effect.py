"""An effect in the partition's own slot: one script applies it and acknowledges its commands, or does
nothing.

So it happens exactly once, however often a command is delivered (docs/usage.md). A handler
sets `job.effect` and returns. The runtime sends the effect where it would else complete the job, for all jobs
of one stream that share it together, and tries until the server has answered.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Arg, Operation
from riptide.streams.job import Applied, Job, Outcome
from riptide.streams.message import Entry, carried

_JOBS_PER_CALL = 500


@dataclass(frozen=True, slots=True)
class Hold:
    """By what a consumer holds entries of one stream: what a script compares, and clears up."""

    partition: str
    consumer: str
    fence: str
    stream: str
    retries: str
    bodies: str
    keys: Keys

    def declare(self, jobs: Sequence[Job]) -> tuple[list[str], list[str], list[Arg]]:
        """The first KEYS (fence, stream, retries, bodies of retries), the last KEYS (results of `jobs` that
        have been retried or have told of their progress), and the first ARGV: group, consumer, how many
        entries, how many of them left such traces, the entries' ids, the first entry ids of those with
        traces."""
        ids = [job.entry.id for job in jobs]
        traced = [job.entry for job in jobs if job.entry.returned is not None or job.entry.noted]
        firsts = [carried(entry)[0] for entry in traced]
        results = [
            self.keys.result(entry.kind, self.partition, first)
            for entry, first in zip(traced, firsts, strict=True)
        ]
        head: list[Arg] = [GROUP, self.consumer, len(ids), len(firsts), *ids, *firsts]
        return [self.fence, self.stream, self.retries, self.bodies], results, head


@dataclass(frozen=True, slots=True)
class Undone:
    """Nothing was applied of `jobs`. `instead` says of one of them at least how it ends otherwise (None: it
    had ended before); the others are tried again without them."""

    jobs: Sequence[Job]
    instead: Mapping[Job, Outcome | None]


class Effect(Protocol):
    def apply(self, hold: Hold, jobs: Sequence[Job]) -> Operation["int | Undone"]:
        """The script call for `jobs`, all of one stream.

        The script compares the fence first, then sees that every entry is still pending for the consumer. It
        writes nothing before all is known to be well; then it applies, acknowledges all entries, and clears
        their traces. The answer is FENCED, how many entries there were, 0 where none was pending any more
        (it has been applied before), or Undone.
        """


def effects(applied: Iterable[Applied], hold: Callable[[Entry], Hold]) -> Iterator[Operation["int | Undone"]]:
    """One call for all jobs of one stream that share an effect, or a few."""
    groups: defaultdict[tuple[Effect, str, str, bool], list[Job]] = defaultdict(list)
    for effect, job in applied:
        entry = job.entry
        groups[effect, entry.kind, entry.partition, entry.slow].append(job)
    for (effect, *_), jobs in groups.items():
        held = hold(jobs[0].entry)
        for start in range(0, len(jobs), _JOBS_PER_CALL):
            yield effect.apply(held, jobs[start : start + _JOBS_PER_CALL])


def sort_out(
    outcomes: Sequence[tuple[Entry, Outcome]], undone: Sequence[Undone]
) -> tuple[list[tuple[Entry, Outcome]], list[tuple[Entry, Outcome]]]:
    """Which of `outcomes` are in place, and what is to be settled now instead of the others."""
    instead = {job: one.instead.get(job, job) for one in undone for job in one.jobs}
    ended: list[tuple[Entry, Outcome]] = []
    again: list[tuple[Entry, Outcome]] = []
    for entry, outcome in outcomes:
        other = instead.get(outcome.job) if isinstance(outcome, Applied) else None
        if other is None:
            ended.append((entry, outcome))
        else:
            again.append((entry, outcome if isinstance(other, Job) else other))
    return ended, again
