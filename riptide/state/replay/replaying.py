"""A replay: some streams at a time, page by page, each command judged, and sent or left out with a reason."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock

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

_SAVE_SECONDS = 0.25
#: Streams that are replayed side by side: while the server works on one, another is read.
_AT_ONCE = 4

Tally = Counter[tuple[str, str, str]]


@dataclass(slots=True)
class Progress:
    """How far a replay is: the last entry looked at of each stream, which streams are done, and what became
    of the commands, by type, tenant and outcome."""

    cursors: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Counter)


@dataclass(slots=True)
class _Page:
    """Up to which entry, what of it is to be sent, and what became of its commands."""

    last: str
    weight: float
    wanted: list[Found] = field(default_factory=list)
    tally: Tally = field(default_factory=Counter)

    def count(self, command: Found, outcome: str) -> None:
        self.tally[command.source.kind, command.tenant or "", outcome] += 1


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
        self._lock, self._stopped, self._saved = Lock(), Event(), time.monotonic()

    def streams(self) -> list[tuple[str, str]]:
        """What is to be read, in order."""
        chosen = self._selection.types or self._source.kinds()
        return [(kind, partition) for kind in chosen for partition in PARTITIONS]

    def run(self, saved: Callable[[], None], advanced: Callable[[float], None]) -> None:
        """Carry it out from where `progress` stands. From time to time and in the end `saved` is called, and
        `advanced` after each page with its weight; never two at a time."""
        streams = [one for one in self.streams() if _name(*one) not in self.progress.finished]
        with ThreadPoolExecutor(_AT_ONCE, "replay") as pool:
            running = [pool.submit(self._stream, *stream, saved, advanced) for stream in streams]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                saved()
        for one in running:
            if not one.cancelled():
                one.result()

    def _stream(
        self, kind: str, partition: str, saved: Callable[[], None], advanced: Callable[[float], None]
    ) -> None:
        for page in self._judged_pages(kind, partition):
            if self._stopped.is_set():
                return
            self._send(kind, partition, page)
            with self._lock:
                self.progress.tally.update(page.tally)
                self.progress.cursors[_name(kind, partition)] = page.last
                advanced(page.weight)
                # Who goes on from an earlier page finds what was sent since, and does not send it again.
                if (now := time.monotonic()) - self._saved > _SAVE_SECONDS:
                    saved()
                    self._saved = now
        with self._lock:
            self.progress.finished.add(_name(kind, partition))

    def _judged_pages(self, kind: str, partition: str) -> Iterator[_Page]:
        for rows, weight in self._pages(kind, partition):
            page = _Page(rows[-1][0], weight)
            meant = [
                command
                for command in found(kind, partition, rows)
                if self._selection.covers(command.copy_of or command.source)
                and self._selection.wants(command.tenant)
            ]
            fresh = self._without_copies(kind, partition, self._without_purged(meant, page), page)
            page.wanted = self._judged(kind, partition, fresh, page) if self._judging else fresh
            yield page

    def _pages(self, kind: str, partition: str) -> Iterator[tuple[list[Row], float]]:
        lowest = self._source.first(kind, partition)
        if lowest is None:
            return
        after = self.progress.cursors.get(_name(kind, partition), self._selection.before)
        # Where all first entries are there, nothing that is meant lies behind the last of them.
        complete = order(lowest) <= order(self._selection.first)
        for rows, weight in self._source.pages(kind, partition, after):
            yield rows, weight
            if complete and order(rows[-1][0]) > order(self._selection.last):
                return

    def _send(self, kind: str, partition: str, page: _Page) -> None:
        if self._dry:
            before = self._target.sent_before(partition, page.wanted)
            for command, sent in zip(page.wanted, before, strict=True):
                page.count(command, SENT_BEFORE if sent else WOULD_SEND)
        else:
            for some in self._paced(page.wanted):
                for command, sent in zip(some, self._target.send(kind, partition, some), strict=True):
                    page.count(command, SENT if sent else SENT_BEFORE)

    def _without_purged(self, commands: list[Found], page: _Page) -> list[Found]:
        """What was issued before its tenant was purged is never carried out again: another tenant may have
        its name."""
        purged = self._target.purged_ms({command.tenant for command in commands if command.tenant})
        if not purged:
            return commands
        kept: list[Found] = []
        for command in commands:
            source = command.copy_of or command.source
            if order(source.entry_id)[0] < purged.get(command.tenant or "", 0):
                page.count(command, PURGED)
            else:
                kept.append(command)
        return kept

    def _without_copies(self, kind: str, partition: str, commands: list[Found], page: _Page) -> list[Found]:
        """What repeats a first entry that is there itself, or was seen before, is the same command."""
        copies = [command for command in commands if command.copy_of is not None]
        ids = [(command.copy_of or command.source).entry_id for command in copies]
        there = dict(zip(ids, self._source.holds(kind, partition, ids), strict=True)) if ids else {}
        kept: list[Found] = []
        for command in commands:
            first = command.copy_of
            if first is not None and (there[first.entry_id] or self._seen(first)):
                page.count(command, COPY)
            else:
                kept.append(command)
        return kept

    def _seen(self, first: Ref) -> bool:
        """Whether the same command came before, without its first entry. So few that they are remembered."""
        before = str(first) in self._orphans
        self._orphans.add(str(first))
        return before

    def _judged(self, kind: str, partition: str, commands: list[Found], page: _Page) -> list[Found]:
        if not commands:
            return []
        states = self._target.states(kind, partition, [command.source.entry_id for command in commands])
        wanted: list[Found] = []
        for command, state in zip(commands, states, strict=True):
            if reason := _against(kind, state):
                page.count(command, reason)
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
            with self._lock:
                self._sent += len(some)
                due = self._sent / self._rate
            yield some
            late = due - (time.monotonic() - self._started)
            time.sleep(max(0.0, late))


def _name(kind: str, partition: str) -> str:
    return f"{kind}.{partition}"


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
