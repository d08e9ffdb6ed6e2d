"""Decides afterwards whether a history kept what docs/failure-behaviour.md promises.

What counts as a violation:

- *lost*: an accepted command that did not end as done, skipped, cancelled or dead; one of which the server
  says that it is done, but whose effect nobody has seen.
- *double effect*: a command that is started again without a reason. Reasons are: the earlier start's process
  is gone; its worker was being taken over; it ended in asking for another try, or was handed back; an
  operator revived it; the server forgot. That its end was acknowledged (done, skipped, dead, cancelled) makes
  every later start a violation, whatever the reason but the last two. (A start whose end nobody acknowledged
  may be followed by another one: effects are idempotent for that. A zombie, which was taken over while it
  ran, may finish what it had begun, and begin what it had read, until it is told; that is counted, and
  nobody listens to it.)
- *published twice*: one attempt to publish, two commands; or one that was refused, and ran.
- *after a dead letter*: a start, or an effect by anyone but a zombie.
- *fence*: an answer other than "fenced off" to a worker that had been taken over in that partition before it
  asked.
- *ended twice*: two accepted endings of one command, or two dead letters.
- *too many starts*: more than `workers.max_attempts`.
- *stale read*: a read that began after an invalidation was completed and returned what was there before it.

What the server forgot (a flush, a failover that lost acknowledged writes) excuses a command of which it had
acknowledged something in that time, and no other. It is counted, in `lost by the server` and `repeated by the
server`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.history import Record
from tests.support.story import Run, Story, Told

#: Scripts whose success ends a command.
_FINAL = frozenset({"complete", "settle", "bury"})
#: Ends of a handler after which a command is meant to be started again.
_AGAIN = frozenset({"again", "cancelled"})


@dataclass(frozen=True)
class Census:
    """What an outsider found on the server when all had come to rest."""

    #: first entry's reference of each command that is not finished -> where it is
    unfinished: Mapping[str, str] = field(default_factory=dict)
    #: first entry's reference of each dead letter
    dead: Sequence[str] = ()
    #: reference -> the state that the server tells, for those that were asked about
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Violation:
    rule: str
    #: the command's token, or the cache key
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.text}"


@dataclass
class Verdict:
    violations: list[Violation]
    counts: Counter[str]

    def __str__(self) -> str:
        counted = ", ".join(f"{name} {count:,}" for name, count in self.counts.items() if count)
        shown = "".join(f"\n  {violation}" for violation in self.violations[:20])
        return f"{counted}; {len(self.violations)} violations{shown}"

    @property
    def rules(self) -> set[str]:
        return {violation.rule for violation in self.violations}


def check(records: Iterable[Record], census: Census, *, max_attempts: int = 5) -> Verdict:
    """Check a history, and what the server holds at its end."""
    return _Checker(Story(records), census, max_attempts).verdict()


class _Checker:
    def __init__(self, story: Story, census: Census, max_attempts: int) -> None:
        self._story = story
        self._census = census
        self._max_attempts = max_attempts
        self._letters = Counter(census.dead)
        self._violations: list[Violation] = []
        self._counts: Counter[str] = Counter()

    def verdict(self) -> Verdict:
        self._count()
        for told in self._story.commands.values():
            self._check_publishing(told)
            self._check_number_of_starts(told)
            self._check_starts(told)
            self._check_ends(told)
            self._check_loss(told)
        self._check_fences()
        self._check_reads()
        return Verdict(self._violations, self._counts)

    def _violated(self, rule: str, subject: str, text: str) -> None:
        self._violations.append(Violation(rule, subject, text))

    def _excused(self, told: Told, count: str) -> bool:
        """Whether the server's forgetting explains it; then it is counted."""
        touched = self._story.was_touched(told)
        self._counts[count] += touched
        return touched

    def _check_publishing(self, told: Told) -> None:
        if len(told.refs) > 1 and not self._excused(told, "repeated by the server"):
            self._violated("published twice", told.token, f"one attempt, these commands: {sorted(told.refs)}")
        if told.refused is not None and told.runs:
            self._violated("published twice", told.token, "publishing it was refused, and it ran")

    def _check_number_of_starts(self, told: Told) -> None:
        starts, most = len(told.runs), self._max_attempts * (1 + len(told.revived))
        if starts > most and not self._excused(told, "repeated by the server"):
            self._violated("too many starts", told.token, f"{starts} starts; {most} are allowed")

    def _check_starts(self, told: Told) -> None:
        for number, run in enumerate(told.runs):
            finish = self._finish_before(told, run.start["at"])
            overlapped = next((r for r in told.runs[:number] if not self._may_follow(told, r, run)), None)
            if finish is None and overlapped is None:
                continue
            if self._story.is_zombies(run):
                self._counts["zombies' starts"] += 1
                continue
            if self._excused(told, "repeated by the server"):
                continue
            if finish is not None:
                rule = "after a dead letter" if finish["script"] == "bury" else "double effect"
                self._violated(rule, told.token, f"{run} began after {finish['script']} was acknowledged")
            else:
                self._violated("double effect", told.token, f"{run} began while {overlapped} was not over")

    @staticmethod
    def _finish_before(told: Told, at: int) -> Record | None:
        """The acknowledgement that had ended it by then."""
        for ack in told.acks:
            revived = any(ack["at"] < moment < at for moment in told.revived)
            if ack["script"] in _FINAL and ack["at"] < at and not revived:
                return ack
        if told.cancelled is not None and told.cancelled["at"] < at:
            return {"script": "cancelling"}
        return None

    def _may_follow(self, told: Told, earlier: Run, run: Run) -> bool:
        """Whether there is a reason for `run` after `earlier`."""
        first, at = earlier.start, run.start["at"]
        if any(self._story.gone.get(who, at) < at for who in (first["pid"], first["worker"])):
            return True
        if self._story.taking.get(first["worker"], at) < at:
            return True
        if any(first["at"] < moment < at for moment in told.revived):
            return True
        return earlier.end is not None and earlier.end["at"] < at and earlier.end["how"] in _AGAIN

    def _check_ends(self, told: Told) -> None:
        letters = sum(self._letters[ref] for ref in told.refs)
        endings = [ack for ack in told.acks if ack["script"] in _FINAL]
        for ack in endings:
            if ack["script"] == "bury" and not told.revived:
                self._check_silence(told, ack["at"])
        said = [f"{ack['script']} by {ack['worker']}" for ack in endings]
        if letters > 1:
            said.append(f"{letters} dead letters")
        if letters and any(ack["script"] != "bury" for ack in endings):
            said.append("a dead letter")
        many = len(endings) > 1 or letters > 1 or "a dead letter" in said
        if many and not told.revived and not self._excused(told, "repeated by the server"):
            self._violated("ended twice", told.token, " and ".join(said))

    def _check_silence(self, told: Told, since: int) -> None:
        for run in told.runs:
            if run.effect is None or run.effect["at"] < since or run.start["at"] > since:
                continue  # a start after the letter is told of as such
            if self._story.taking.get(run.start["worker"], run.effect["at"]) < run.effect["at"]:
                self._counts["zombies' effects"] += 1
            else:
                self._violated("after a dead letter", told.token, f"an effect of {run}, which was no zombie")

    def _check_loss(self, told: Told) -> None:
        if told.accepted is None:
            return
        ref = told.accepted["ref"]
        where = self._census.unfinished.get(ref)
        if (where is None and self._has_ended(told)) or self._excused(told, "lost by the server"):
            return
        if where is not None:
            text = f"{ref} never ended: it is {where}"
        else:
            state = self._census.states.get(ref, "not asked about")
            text = f"{ref} was accepted, {len(told.runs)} starts, and no end; the server's word: {state}"
        self._violated("lost", told.token, text)

    def _has_ended(self, told: Told) -> bool:
        """Done if its effect was seen, heard of or not: the census tells that nothing waits any more. A dead
        letter must be there."""
        if any(run.effect for run in told.runs) or any(self._letters[ref] for ref in told.refs):
            return True
        if told.cancelled is not None:
            return True
        return any(run.end and run.end["how"] == "skip" for run in told.runs)

    def _check_fences(self) -> None:
        for answer in self._story.answers:
            fenced = self._story.taken.get((answer["worker"], answer["partition"]))
            if fenced is None or answer["sent"] <= fenced or answer["reply"] == -1:
                continue
            if not self._story.was_forgotten(fenced, fenced):
                text = f"{answer['script']} by {answer['worker']}, which had been taken over, was carried out"
                self._violated("fence", answer["first"], text)

    def _check_reads(self) -> None:
        newest: dict[str, int] = defaultdict(int)
        begun: dict[str, int] = {}
        floors: dict[str, list[tuple[int, int]]] = defaultdict(list)
        reads = []
        for record in self._story.cache:
            key, at = record["key"], record["at"]
            match record["what"]:
                case "written":
                    newest[key] = max(newest[key], record["version"])
                case "invalidating":
                    begun[record["call"]] = newest[key]
                case "invalidated" if not self._story.was_forgotten(at, at):
                    floors[key].append((at, begun[record["call"]]))
                case "read":
                    reads.append(record)
        self._counts["reads"] = len(reads)
        for read in reads:
            due = max((version for at, version in floors[read["key"]] if at < read["since"]), default=0)
            if read["version"] < due:
                text = f"a read returned version {read['version']}; {due} was due"
                self._violated("stale read", read["key"], text)

    def _count(self) -> None:
        story, commands = self._story, self._story.commands.values()
        runs = [run for told in commands for run in told.runs]
        self._counts |= Counter({
            "commands": len(commands),
            "accepted": sum(told.accepted is not None for told in commands),
            "refused": sum(told.refused is not None for told in commands),
            "starts": len(runs),
            "effects": sum(run.effect is not None for run in runs),
            "started again": sum(max(0, len(told.runs) - 1) for told in commands),
            "dead letters": len(self._census.dead),
            "workers taken over": len(story.taking),
            "answers to the fenced off": sum(answer["reply"] == -1 for answer in story.answers),
        })  # fmt: skip
