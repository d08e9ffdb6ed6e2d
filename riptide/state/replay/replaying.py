"""A replay: stream by stream, page by page, each command judged and then sent or left out with a reason."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from riptide.state.archive.names import order
from riptide.state.archive.segment import Row
from riptide.state.replay.commands import Found, found
from riptide.state.replay.selection import Selection
from riptide.state.replay.sources import Source
from riptide.state.replay.target import Target
from riptide.store.keys import PARTITIONS
from riptide.streams.message import Ref

#: Types that are counted exactly once: whatever has been carried out must not be counted again.
COUNTED = frozenset({"record_usage"})
SENT, WOULD_SEND, SENT_BEFORE = "sent", "would be sent", "replayed before"
COUNTED_ALREADY, WAITS = "counted already", "still to be carried out"
DEAD, COPY = "dead letter: see riptide dead retry", "the same command again"
CANCELLED, PURGED = "cancelled", "its tenant was purged"

Tally = Counter[tuple[str, str, str]]


@dataclass(slots=True)
class Progress:
    """How far a replay is: the last entry looked at of each stream, which streams are done, and what became
    of the commands, by type, tenant and outcome."""

    cursors: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Counter)


class Replay:
    """`judging` is off where the target knows nothing of the commands, as another server than theirs, or
    where they shall be carried out again in any case. A `dry` one sends nothing."""

    def __init__(
        self,
        source: Source,
        selection: Selection,
        target: Target,
        progress: Progress,
        *,
        judging: bool,
        dry: bool = False,
        rate: float | None = None,
    ) -> None:
        self._source = source
        self._selection = selection
        self._target = target
        self._judging = judging
        self._dry = dry
        self.progress = progress
        self._rate = rate
        self._started = time.monotonic()
        self._sent = 0
        self._orphans: set[str] = set()

    def streams(self) -> list[tuple[str, str]]:
        """What is to be read, in order."""
        chosen = self._selection.types or self._source.kinds()
        return [(kind, partition) for kind in chosen for partition in PARTITIONS]

    def run(self, saved: Callable[[], None], advanced: Callable[[float], None]) -> None:
        """Carry it out from where `progress` stands. After each page `saved` is called, and `advanced` with
        its weight."""
        for kind, partition in self.streams():
            name = f"{kind}.{partition}"
            if name in self.progress.finished:
                continue
            for page, weight in self._pages(kind, partition):
                self._page(kind, partition, page)
                self.progress.cursors[name] = page[-1][0]
                saved()
                advanced(weight)
            self.progress.finished.add(name)
            saved()

    def _pages(self, kind: str, partition: str) -> Iterator[tuple[list[Row], float]]:
        lowest = self._source.first(kind, partition)
        if lowest is None:
            return
        after = self.progress.cursors.get(f"{kind}.{partition}", self._selection.before)
        # Where all first entries are there, nothing that is meant lies behind the last of them.
        complete = order(lowest) <= order(self._selection.first)
        for rows, weight in self._source.pages(kind, partition, after):
            yield rows, weight
            if complete and order(rows[-1][0]) > order(self._selection.last):
                return

    def _page(self, kind: str, partition: str, rows: list[Row]) -> None:
        meant = [
            command
            for command in found(kind, partition, rows)
            if self._selection.covers(command.copy_of or command.source)
            and self._selection.wants(command.tenant)
        ]
        if not meant:
            return
        fresh = self._without_copies(kind, partition, self._without_purged(meant))
        wanted = self._judged(kind, partition, fresh) if self._judging else fresh
        if self._dry:
            for command, sent in zip(wanted, self._target.sent_before(partition, wanted), strict=True):
                self._count(command, SENT_BEFORE if sent else WOULD_SEND)
            return
        for some in self._paced(wanted):
            for command, sent in zip(some, self._target.send(kind, partition, some), strict=True):
                self._count(command, SENT if sent else SENT_BEFORE)

    def _without_purged(self, commands: list[Found]) -> list[Found]:
        """What was issued before its tenant was purged is never carried out again: another tenant may have
        its name."""
        purged = self._target.purged_ms({command.tenant for command in commands if command.tenant})
        if not purged:
            return commands
        kept: list[Found] = []
        for command in commands:
            source = command.copy_of or command.source
            if order(source.entry_id)[0] < purged.get(command.tenant or "", 0):
                self._count(command, PURGED)
            else:
                kept.append(command)
        return kept

    def _without_copies(self, kind: str, partition: str, commands: list[Found]) -> list[Found]:
        """What repeats a first entry that is there itself, or was seen before, is the same command."""
        copies = [command for command in commands if command.copy_of is not None]
        ids = [(command.copy_of or command.source).entry_id for command in copies]
        there = dict(zip(ids, self._source.holds(kind, partition, ids), strict=True)) if ids else {}
        kept: list[Found] = []
        for command in commands:
            first = command.copy_of
            if first is not None and (there[first.entry_id] or self._seen(first)):
                self._count(command, COPY)
            else:
                kept.append(command)
        return kept

    def _seen(self, first: Ref) -> bool:
        """Whether the same command came before, without its first entry. So few that they are remembered."""
        before = str(first) in self._orphans
        self._orphans.add(str(first))
        return before

    def _judged(self, kind: str, partition: str, commands: list[Found]) -> list[Found]:
        if not commands:
            return []
        states = self._target.states(kind, partition, [command.source.entry_id for command in commands])
        wanted: list[Found] = []
        for command, state in zip(commands, states, strict=True):
            if reason := _against(kind, state):
                self._count(command, reason)
            else:
                wanted.append(command)
        return wanted

    def _paced(self, commands: list[Found]) -> Iterator[Sequence[Found]]:
        """In parts that keep the rate, each when it is due."""
        if self._rate is None:
            if commands:
                yield commands
            return
        size = max(1, int(self._rate / 10))
        for start in range(0, len(commands), size):
            some = commands[start : start + size]
            self._sent += len(some)
            yield some
            late = self._sent / self._rate - (time.monotonic() - self._started)
            time.sleep(max(0.0, late))

    def _count(self, command: Found, outcome: str) -> None:
        self.progress.tally[command.source.kind, command.tenant or "", outcome] += 1


def _against(kind: str, state: str) -> str | None:
    """Why a command is left out, if it is."""
    match state:
        case "waits":
            return WAITS
        case "dead":
            return DEAD
        case "cancelled":
            return CANCELLED
        case "done" if kind in COUNTED:
            return COUNTED_ALREADY
    return None
