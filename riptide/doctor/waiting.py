"""Checks of streams: what waits, and why."""

from collections.abc import Sequence

from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, fail, problems_or, span, warn
from riptide.doctor.streams import LATE_SECONDS

_NEARLY = 0.8


def backlog(facts: Facts) -> Sequence[Finding]:
    most, problems = facts.settings.streams.max_backlog, []
    for kind, rows in facts.streams_by_kind.items():
        fullest = max(rows, key=lambda one: one.unfinished or 0)
        count = fullest.unfinished or 0
        if any(one.full for one in rows) or count >= most:
            problems.append(
                fail(
                    f"publishing of {kind} is refused: {count:,} of {most:,} wait in a partition",
                    f"more workers for it: riptide worker --commands {kind}; or raise streams.max_backlog",
                )
            )
        elif count >= _NEARLY * most:
            problems.append(
                warn(f"{count:,} of {most:,} {kind} wait in a partition", f"riptide worker --commands {kind}")
            )
    return problems_or(problems, f"no partition is near {most:,}")


def dead(facts: Facts) -> Sequence[Finding]:
    problems = []
    for kind, rows in facts.streams_by_kind.items():
        if total := sum(one.dead for one in rows):
            lately = sum(one.dead_lately for one in rows)
            problems.append(
                warn(
                    f"{total:,} dead letters of {kind}, {lately:,} of them within the last hour",
                    f"riptide dead list --type {kind}; then 'riptide dead retry' or 'drop'",
                )
            )
    return problems_or(problems, "none")


def retries(facts: Facts) -> Sequence[Finding]:
    problems = [
        fail(
            f"{late:,} retries and delayed commands of {kind} are due for more than {span(LATE_SECONDS)}",
            f"riptide worker --commands {kind}",
        )
        for kind, rows in facts.streams_by_kind.items()
        if (late := sum(one.late for one in rows))
    ]
    return problems_or(problems, "none is late")


def paused(facts: Facts) -> Sequence[Finding]:
    found = facts.store.run(facts.parts.resting.paused())
    problems = [
        warn(
            f"{one.kind} is paused by {one.by}" + (f": {one.why}" if one.why else ""),
            f"riptide resume {one.kind}",
        )
        for one in found.values()
    ]
    return problems_or(problems, "no type is")


def pinned(facts: Facts) -> Sequence[Finding]:
    problems = [
        warn(
            f"{state.kind} is kept beyond its replay window for the group {state.pinned_by}",
            "see that its consumer reads and acknowledges, or take it out of streams.groups",
        )
        for state in facts.states
        if state.pinned_by
    ]
    return problems_or(problems, "no stream is kept beyond its replay window")


CHECKS = (
    Check(
        "work.backlog",
        "what waits, against streams.max_backlog",
        "From there on publishing is refused, so that the server is not filled.",
        backlog,
    ),
    Check(
        "work.dead",
        "dead letters, and how many are new",
        "Each is a command that was given up, and waits for somebody to decide.",
        dead,
    ),
    Check(
        "work.retries",
        "retries and delayed commands that are due and were not put back",
        "Workers of that type put them back; none does.",
        retries,
    ),
    Check(
        "work.paused",
        "types that an operator has paused",
        "Publishing goes on, and what is published waits.",
        paused,
    ),
    Check(
        "work.pinned",
        "streams that one group keeps from being trimmed",
        "They grow until the server is full.",
        pinned,
    ),
)
