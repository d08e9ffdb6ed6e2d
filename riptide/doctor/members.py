"""Checks of processes: who lives, what vanished ones left behind."""

import time
from collections import Counter
from collections.abc import Sequence

from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, few, ok, problems_or, span, warn
from riptide.store.keys import PARTITIONS
from riptide.streams.takeover import PartitionOps

_SCAN_SECONDS = 5.0
_MOST_FENCES = 100_000


def workers(facts: Facts) -> Sequence[Finding]:
    lease = facts.settings.workers.lease_seconds
    problems = [
        warn(
            f"{one.name} is silent for {span(one.silent_seconds)}",
            "it is taken over by the next worker; if it runs, read its log and restart it",
        )
        for one in facts.census.members
        if one.silent_seconds > lease
    ]
    problems += [
        warn(f"{one.name} is quiet, by {one.quiet_by}", f"riptide quiet {one.name} --end")
        for one in facts.workers
        if one.quiet_ms is not None
    ]
    releases = sorted({one.version for one in [*facts.workers, *facts.services]})
    if len(releases) > 1:
        problems.append(
            warn(
                f"processes run different releases: {', '.join(releases)}",
                "finish the upgrade: docs/upgrading.md",
            )
        )
    roles = Counter(one.role for one in [*facts.workers, *facts.services])
    return problems_or(problems, "living: " + ", ".join(f"{count} {role}" for role, count in roles.items()))


def leaked(facts: Facts) -> Sequence[Finding]:
    known = {one.name for one in facts.census.members}
    asked = [PartitionOps(facts.keys, facts.kinds, partition).consumers() for partition in PARTITIONS]
    gone = {
        name
        for found in facts.store.run_all(asked)
        for name in (*found.holding, *found.empty)
        if name not in known
    }
    fences, whole = _fences(facts)
    stray = {name for name in fences if name not in known}
    remedy = "riptide worker: any worker removes them within two minutes"
    problems = []
    if gone:
        problems.append(warn(f"{len(gone):,} consumers of no living worker: {few(sorted(gone))}", remedy))
    if stray - gone:
        left = sorted(stray - gone)
        problems.append(
            warn(
                f"fences of {len(left):,} workers that are gone: {few(left)}",
                "harmless, 100 bytes each: DEL them, once no process of that name runs",
            )
        )
    seen = "no consumer and no fence without its worker"
    return problems or [ok(seen if whole else f"{seen} among the keys that there was time for")]


def _fences(facts: Facts) -> tuple[set[str], bool]:
    """Whose fences there are, and whether all keys could be looked at."""
    start = facts.keys.fence("", "").partition("{")[0]
    until = time.monotonic() + min(_SCAN_SECONDS, facts.seconds_left / 2)
    found: set[str] = set()
    with facts.scan() as scan:
        for _, names in scan.pages(f"{start}{{*", 2000):
            found.update(name.decode("utf-8", "replace").rpartition("}:")[2] for name in names)
            if time.monotonic() > until or len(found) > _MOST_FENCES:
                return found, False
    return found, True


CHECKS = (
    Check(
        "workers.alive",
        "heartbeats, quiet workers, releases",
        "A worker that is silent or quiet carries nothing out.",
        workers,
    ),
    Check(
        "workers.leaked",
        "consumers and fences without a living worker",
        "They cost memory, and what they hold waits; millions of them slow a server down.",
        leaked,
    ),
)
