"""Tells the entries that are to be started from those that are not: they cannot be read, are not due, or have
been started too often."""

import contextlib
import math
import random
from collections.abc import Awaitable, Callable, Sequence

from commands import MalformedBody, UnknownVersion
from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.names import DEFAULT_TENANT
from riptide.streams.job import (
    Buried,
    Elsewhere,
    Job,
    Outcome,
    Postponed,
    describe,
    format_trace,
    parse_job,
)
from riptide.streams.message import Entry, Malformed, read
from riptide.streams.registry import CommandType

_ELSEWHERE_SECONDS = (0.25, 0.75)  # until an entry that a newer worker must run is offered again

Outcomes = list[tuple[Entry, Outcome]]


async def _nobody(_kind: str) -> int:
    return 0


class Triage:
    """`server_ms` answers the server's time (Unix ms), never ahead of it; `newest_served` the newest version
    of a type's body that a living worker reads."""

    def __init__(
        self,
        settings: Settings,
        server_ms: Callable[[], float] = lambda: 0,
        newest_served: Callable[[str], Awaitable[int]] = _nobody,
    ) -> None:
        self._settings = settings
        self._only_tenant = None if settings.tenant.enabled else DEFAULT_TENANT
        self._server_ms = server_ms
        self._newest_served = newest_served
        self._rng = random.Random()

    def read(self, kind: CommandType, entries: Sequence[Entry]) -> tuple[list[Job], Outcomes]:
        """What is to be started, and what becomes of the others."""
        jobs: list[Job] = []
        outcomes: Outcomes = []
        limit, largest = self._settings.workers.max_attempts, self._settings.streams.max_body_bytes
        for entry in entries:
            try:
                message = read(entry, largest)
                job = parse_job(entry, message, kind.model, self._only_tenant)
            except UnknownVersion as error:
                outcomes.append((entry, self._unread(message.version, kind, str(error))))
                continue
            except (Malformed, MalformedBody) as error:
                outcomes.append((entry, Buried("malformed", str(error))))
                continue
            except Exception as error:  # noqa: BLE001 - a model's own validator or upcaster may raise anything
                outcomes.append((entry, Buried("malformed", describe(error), format_trace(error))))
                continue
            if message.due_ms is not None and message.due_ms > self._server_ms():
                outcomes.append((entry, Postponed(message.due_ms)))
            elif message.attempts < limit:
                jobs.append(job)
            else:
                text = f"started {message.attempts} times without an end: each time its worker died"
                outcomes.append((entry, Buried("lost", text)))
        return jobs, outcomes

    def _unread(self, version: int, kind: CommandType, error: str) -> Outcome:
        if version < kind.model.version:
            return Buried("unknown-version", error)
        return Elsewhere(self._rng.uniform(*_ELSEWHERE_SECONDS), error, version)

    async def place(self, kind: CommandType, outcomes: Outcomes) -> Outcomes:
        """Bodies that are newer than this release wait for a living worker that reads them; without one they
        are dead letters."""
        if not any(isinstance(outcome, Elsewhere) for _, outcome in outcomes):
            return outcomes
        newest: float = math.inf  # nothing is buried because the server could not be asked
        with contextlib.suppress(RiptideError):
            newest = await self._newest_served(kind.name)
        return [
            (entry, Buried("unknown-version", outcome.error))
            if isinstance(outcome, Elsewhere) and outcome.version > newest
            else (entry, outcome)
            for entry, outcome in outcomes
        ]
