"""What a handler sees of a command, and how it may end: a closed set of outcomes."""

import json
import math
import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from commands import Command
from riptide.config import WorkersSettings
from riptide.errors import Dead, InvalidInput, LoaderRefused, Retry, Skip
from riptide.streams.message import Entry, Malformed, Message, Ref

if TYPE_CHECKING:
    from riptide.streams.effect import Effect

_SHOWN_ERROR = 2_000
_SHOWN_TRACEBACK = 20_000
_SHOWN_NOTE = 200
_LONGEST_DELAY = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Done:
    """The effect is in place. `value` is what the handler returned, as JSON."""

    value: str | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """To be run again after `delay` seconds."""

    delay: float
    error: str


@dataclass(frozen=True, slots=True)
class Buried:
    """To the dead letters: `reason` says in one word why, `error` in a sentence."""

    reason: str
    error: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    reason: str


@dataclass(frozen=True, slots=True)
class HandedBack:
    """To be run by another worker: this one stops. `started` tells whether that counts as an attempt."""

    started: bool


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """To be run after `delay` seconds by a worker that reads this `version` of a body; it counts no start."""

    delay: float
    error: str
    version: int


@dataclass(frozen=True, slots=True)
class Postponed:
    """Not to be started before `due_ms` (Unix ms, by the server's clock). No start is counted."""

    due_ms: int


class Applied(NamedTuple):
    """Done as soon as `effect` is in place, which one script sees to together with the acknowledgement."""

    effect: "Effect"
    job: "Job"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command is: `done` of `total`, where that is known, and what it is at."""

    done: float
    total: float | None = None
    note: str | None = None


Outcome = Done | Again | Buried | Skipped | HandedBack | Elsewhere | Postponed | Applied
DONE = Done()
#: As metrics call them.
OUTCOME_NAMES: Mapping[type, str] = {
    Done: "done",
    Applied: "done",
    Again: "retried",
    Buried: "dead",
    Skipped: "skipped",
    HandedBack: "handed_back",
    Elsewhere: "retried",
    Postponed: "postponed",
}


class Job:
    """One command in a handler's batch."""

    __slots__ = (
        "attempt",
        "command",
        "effect",
        "entry",
        "message",
        "outcome_error",
        "part",
        "reached",
        "reported",
        "result",
    )

    def __init__(self, entry: Entry, message: Message, command: Any) -> None:
        self.entry = entry
        self.message = message
        self.command: Any = command
        #: Which start this is, from 1.
        self.attempt = message.attempts + 1
        #: A JSON value to give to whoever asks for the command's result.
        self.result: Any = None
        #: What one script is to do in the same step that acknowledges this job, if anything (it gives no
        #: result then); and what it needs to know of this job's part in it.
        self.effect: Effect | None = None
        self.part: Any = None
        self.outcome_error: Exception | None = None
        #: What the handler said last of how far it is.
        self.reached: Progress | None = None
        #: Who is told of it.
        self.reported: Callable[[Job], None] | None = None

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def tenant(self) -> str | None:
        return self.message.tenant

    @property
    def ref(self) -> Ref:
        """The reference its publisher holds."""
        return Ref(self.entry.kind, self.entry.partition, self.message.first)

    def fail(self, error: Exception) -> None:
        """End this job alone with `error`: Retry, Dead, Skip, or any other exception, which is a retry."""
        self.outcome_error = error

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Say how far this job is, for whoever asks or waits; from any thread, as often as you like.

        It is written about once a second, and nobody waits for that. Raises InvalidInput for what is no
        number from 0 on.
        """
        for number in (done, 0 if total is None else total):
            if not (isinstance(number, int | float) and 0 <= number < math.inf):
                raise InvalidInput(f"progress is told in numbers from 0 on, not {number!r:.40}")
        self.reached = Progress(done, total, None if note is None else _printable(str(note)[:_SHOWN_NOTE]))
        if self.reported is not None:
            self.reported(self)


def outcome_of(job: Job, error: Exception | None, policy: WorkersSettings, rng: random.Random) -> Outcome:
    """How `job` ends. `error` is what the whole call raised; what the job itself reports goes first."""
    error = job.outcome_error or error
    if error is None:
        if job.effect is not None:
            return Applied(job.effect, job)
        return DONE if job.result is None else _returned(job.result)
    text = describe(error)
    if isinstance(error, Skip):
        return Skipped(text)
    if isinstance(error, Dead | LoaderRefused):
        return Buried(getattr(error, "reason", "refused"), text, format_trace(error))
    if job.attempt >= policy.max_attempts:
        return Buried(
            "failed", f"{text} (attempt {job.attempt} of {policy.max_attempts})", format_trace(error)
        )
    delay = error.delay if isinstance(error, Retry) else None
    # A delay that makes no sense is the handler's slip; what it asked for, another try, is still clear.
    if isinstance(delay, int | float) and 0 <= delay <= _LONGEST_DELAY:
        return Again(delay, text)
    return Again(backoff(job.attempt, policy, rng), text)


def backoff(attempt: int, policy: WorkersSettings, rng: random.Random) -> float:
    """Seconds before the next try: exponential with full jitter, so that what failed together does not
    return together."""
    ceiling = min(policy.retry_cap_seconds, policy.retry_base_seconds * 2 ** min(attempt - 1, 60))
    return rng.uniform(0, ceiling)


def describe(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error that cannot even be printed is still to be reported
        text = "(its text cannot be made)"
    return _printable(f"{type(error).__name__}: {text[:_SHOWN_ERROR]}")[:_SHOWN_ERROR]


def format_trace(error: BaseException) -> str:
    return _printable("".join(traceback.format_exception(error))[-_SHOWN_TRACEBACK:])


def _printable(text: str) -> str:
    """A lone surrogate, as file names hold, could not be sent."""
    return text.encode("utf-8", "backslashreplace").decode()


def _returned(value: Any) -> Outcome:
    try:
        return Done(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        return Buried("failed", f"the handler returned what is not JSON: {error}")


def parse_job(entry: Entry, message: Message, model: type[Command], only_tenant: str | None) -> Job:
    """Read the body; `only_tenant` is whose a command without a tenant is (None: with multi-tenancy on, it
    is nobody's).

    Raises Malformed, commands.MalformedBody or commands.UnknownVersion.
    """
    if message.tenant is None and model.tenant_required:
        if only_tenant is None:
            raise Malformed(f"field 'tenant' is missing: {model.type} is about one tenant")
        message.tenant = only_tenant
    return Job(entry, message, model.parse(message.version, message.body))
