"""A history, told command by command: what its sender, its handlers and the server said of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.support.history import Record


@dataclass
class Run:
    """One start of one command."""

    start: Record
    effect: Record | None = None
    end: Record | None = None

    def __str__(self) -> str:
        return f"attempt {self.start['attempt']} ({self.start['worker']})"


@dataclass
class Told:
    """All that is known of one command."""

    token: str
    sent: Record | None = None
    accepted: Record | None = None
    refused: Record | None = None
    unknown: Record | None = None
    cancelled: Record | None = None
    runs: list[Run] = field(default_factory=list)
    #: calls that would take it off a worker's list, and were answered
    answers: list[Record] = field(default_factory=list)
    revived: list[int] = field(default_factory=list)

    @property
    def refs(self) -> set[str]:
        """What it is called: more than one reference means that it was published more than once."""
        accepted = {str(self.accepted["ref"])} if self.accepted is not None else set()
        return accepted | {str(run.start["ref"]) for run in self.runs}

    @property
    def acks(self) -> list[Record]:
        """Answers by which the server took it off a worker's list."""
        return [answer for answer in self.answers if answer["reply"] == 1]

    def acknowledged(self) -> Iterator[tuple[int, int]]:
        """When (from, to) the server acknowledged anything about it."""
        if self.accepted is not None:
            yield self.sent["at"] if self.sent else self.accepted["at"], self.accepted["at"]
        for run in self.runs:
            yield run.start["at"], run.start["at"]
        for answer in self.answers:
            yield answer["sent"], answer["at"]


class Story:
    """All commands of a history, and what befell the workers and the server."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.commands: dict[str, Told] = {}
        #: process or worker -> since when it does nothing any more
        self.gone: dict[int | str, int] = {}
        #: worker -> when somebody set out to take it over
        self.taking: dict[str, int] = {}
        #: (worker, partition) -> when that was answered
        self.taken: dict[tuple[str, str], int] = {}
        #: worker -> when it was told that it had been taken over
        self.told: dict[str, int] = {}
        #: times (from, to) of which the server may have forgotten what it acknowledged
        self.forgotten: list[tuple[int, int]] = []
        self.answers: list[Record] = []
        #: what was written, invalidated and read
        self.cache: list[Record] = []
        self._runs: dict[str, Run] = {}
        for record in records:
            self._take(record)
        by_ref = {ref: told for told in self.commands.values() for ref in told.refs}
        for answer in self.answers:
            if (told := by_ref.get(answer["first"])) is not None:
                told.answers.append(answer)

    @property
    def runs(self) -> int:
        return len(self._runs)

    def _take(self, record: Record) -> None:
        match record["what"]:
            case "sent" | "accepted" | "refused" | "unknown" | "cancelled" as name:
                setattr(self._command(record), name, record)
            case "start":
                run = self._runs[record["run"]] = Run(record)
                self._command(record).runs.append(run)
            case "effect" | "end" as name:
                setattr(self._runs[record["run"]], name, record)
            case "revived":
                self._command(record).revived.append(record["at"])
            case "ack":
                self.answers.append(record)
                if record["reply"] == -1:
                    self.told.setdefault(record["worker"], record["at"])
            case "written" | "invalidating" | "invalidated" | "read":
                self.cache.append(record)
            case _:
                self._take_fault(record)

    def _take_fault(self, record: Record) -> None:
        at = record["at"]
        match record["what"]:
            case "taking":
                self.taking.setdefault(record["worker"], at)
            case "taken":
                self.taken.setdefault((record["worker"], record["partition"]), at)
            case "gone":
                self.gone.setdefault(record["who"], at)
            case "forgot":
                self.forgotten.append((record["since"], at))
            case other:
                raise ValueError(f"no such record: {other!r}")

    def _command(self, record: Record) -> Told:
        token = record["token"]
        return self.commands.setdefault(token, Told(token))

    def is_zombies(self, run: Run) -> bool:
        """Whether it began when its worker had been taken over there, and had not been told so."""
        worker, partition = run.start["worker"], run.start["ref"].split(".")[1]
        at = int(run.start["at"])
        return self.taken.get((worker, partition), at) < at <= self.told.get(worker, at)

    def was_forgotten(self, since: int, until: int) -> bool:
        """Whether the server may have forgotten what it acknowledged at some time between the two."""
        return any(since <= end and until >= begin for begin, end in self.forgotten)

    def was_touched(self, told: Told) -> bool:
        """Whether the server may have forgotten something that it had acknowledged about a command."""
        return any(self.was_forgotten(since, until) for since, until in told.acknowledged())
