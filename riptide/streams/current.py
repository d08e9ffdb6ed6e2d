"""Which jobs the running code works for, so that every log line on the way can say so."""

from collections.abc import MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any

from riptide.streams.job import Job

jobs: ContextVar[Sequence[Job]] = ContextVar("jobs", default=())


def add_facts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: adds type, id, reference, tenant and trace of the job, or the number of jobs."""
    running = jobs.get()
    if not running:
        return event
    job = running[0]
    event.setdefault("command", job.entry.kind)
    if len(running) > 1:
        event.setdefault("jobs", len(running))
        return event
    facts = {"id": job.id, "ref": str(job.ref), "tenant": job.tenant, "trace": job.message.trace}
    for name, value in facts.items():
        if value is not None:
            event.setdefault(name, value)
    return event
