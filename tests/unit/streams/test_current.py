"""Log lines written while a handler runs say which command they are about."""

import contextvars
from typing import Any

from riptide.streams import current
from riptide.streams.job import Job
from riptide.streams.message import Entry, read


def job(command_id: bytes) -> Job:
    fields = [b"id", command_id, b"body", b"{}", b"tenant", b"acme", b"trace", b"00-aa-bb-01"]
    entry = Entry("noop", "10", "5-0", fields)
    return Job(entry, read(entry, 100), None)


def facts_of(jobs: list[Job], event: dict[str, Any]) -> dict[str, Any]:
    def log() -> Any:
        current.jobs.set(jobs)
        return current.add_facts(None, "info", event)

    found: dict[str, Any] = contextvars.Context().run(log)
    return found


def test_one_job_is_named_in_full() -> None:
    named = {"command": "noop", "id": "one", "ref": "noop.10.5-0", "tenant": "acme", "trace": "00-aa-bb-01"}
    assert facts_of([job(b"one")], {"event": "hello"}) == {"event": "hello", **named}


def test_a_batch_is_counted_and_what_a_line_says_itself_stays() -> None:
    event = {"event": "hello", "command": "mine"}
    assert facts_of([job(b"one"), job(b"two")], event) == {"event": "hello", "command": "mine", "jobs": 2}


def test_outside_a_handler_nothing_is_added() -> None:
    assert facts_of([], {"event": "hello"}) == {"event": "hello"}
