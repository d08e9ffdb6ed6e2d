"""Checks of streams: whether what is published is carried out."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from riptide.clock import SystemClock
from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, fail, few, problems_or, span, warn
from riptide.doctor.streams import StreamFacts
from riptide.store.keys import GROUP
from riptide.streams.overview import StreamState
from riptide.streams.registry import load_models
from riptide.streams.schedule.firing import open_schedules
from riptide.streams.schedule.timing import slot_text
from riptide.streams.upkeep import registered_groups

#: A worker that lives takes over within its round of sixteen partitions.
_ROUND_SECONDS = 120.0
# What a group can be, and what to do then.
_LOST, _MISSING = "is lost", "does not exist"
_AHEAD, _BACK = "stands beyond the newest entry", "was set back"
_REMEDIES = {
    _LOST: "a worker makes it anew where it stood: 'riptide worker'",
    _MISSING: "make it, with XGROUP CREATE at 0, or take it out of streams.groups",
    _AHEAD: "XGROUP SETID <stream> <group> 0, if the server has lost data; else restart the workers",
    _BACK: "nothing, if 'riptide replay' or an operator did that: what it has had is read again",
}


def groups(facts: Facts) -> Sequence[Finding]:
    problems: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in facts.streams:
        if not one.last:
            continue
        for group in registered_groups(facts.settings.streams, one.kind):
            if what := _position_problem(one, group):
                problems[what, group].append(f"{one.kind} {{{one.partition}}}")
    found = []
    for (what, group), names in problems.items():
        tell = warn if what in {_BACK, _MISSING} else fail
        found.append(tell(f"group {group} {what}: {few(names)}", _REMEDIES[what]))
    return problems_or(
        found, f"each of {sum(bool(one.last) for one in facts.streams)} streams has its groups"
    )


def _position_problem(one: StreamFacts, group: str) -> str | None:
    given = one.groups.get(group)
    if group == GROUP:
        if given is None:
            return _LOST if one.saved else None  # without a worker so far: work.unread tells
        if one.saved and _order(given) < _order(one.saved):
            return _BACK
    elif given is None:
        # Workers make the archive's.
        return _MISSING if group != "archive" else None
    return _AHEAD if _order(given) > _order(one.last) else None


def _order(entry_id: str) -> tuple[int, int]:
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence or 0)


def unread(facts: Facts) -> Sequence[Finding]:
    served = {kind for member in facts.workers for kind in member.commands}
    waiting = {state.kind: state for state in facts.states if state.lag is None or state.lag + state.retries}
    problems = [
        fail(f"nobody serves {kind}, and {_waits(state)} wait", f"riptide worker --commands {kind}")
        for kind, state in waiting.items()
        if kind not in served
    ]
    idle = [kind for kind in facts.kinds if kind not in served | set(waiting)]
    if not facts.workers:
        problems.append(warn("no worker runs", "riptide worker"))
    elif idle:
        seen = f"nobody serves {few(idle)}; nothing waits yet"
        problems.append(warn(seen, f"riptide worker --commands {','.join(idle)}"))
    return problems_or(problems, f"{len(facts.workers)} workers serve all {len(facts.kinds)} types")


def _waits(state: StreamState) -> str:
    return "many" if state.lag is None else f"{state.lag + state.retries:,}"


def stuck(facts: Facts) -> Sequence[Finding]:
    living = {member.name: member for member in facts.workers}
    workers, problems = facts.settings.workers, []
    orphans: dict[str, list[float]] = defaultdict(list)
    for one in facts.streams:
        allowed = workers.handler_timeouts.get(one.kind, workers.handler_timeout_seconds)
        for held in one.held:
            if held.consumer not in living:
                orphans[held.consumer] += [held.seconds] * held.entries
            elif held.seconds > 2 * allowed + workers.lease_seconds:
                problems.append(
                    warn(
                        f"{held.consumer} works on {held.ref} for {span(held.seconds)}, start {held.starts}",
                        "read its log and restart it: 'riptide workers' shows where it is",
                    )
                )
    for consumer, seconds in orphans.items():
        late = bool(living) and max(seconds) > _ROUND_SECONDS
        tell = fail if late else warn
        problems.append(
            tell(
                f"{len(seconds):,} entries are held by {consumer}, which is gone, for {span(max(seconds))}",
                "riptide worker: any worker of their types takes them over within two minutes",
            )
        )
    return problems_or(problems, "no entry is held for long")


def schedules(facts: Facts) -> Sequence[Finding]:
    return problems_or(list(_late_schedules(facts)), "each was published in time")


def _late_schedules(facts: Facts) -> Iterator[Finding]:
    found = open_schedules(facts.settings, load_models(facts.settings.workers.modules), SystemClock())
    state = facts.store.run(found.state())
    for entry in found.listed:
        last = state.last.get(entry.name)
        if entry.off or last is None:
            continue  # no worker has met it yet
        slot = entry.timing.newest(state.now_ms - round(_ROUND_SECONDS * 1000))
        if slot is not None and slot > last.slot_ms:
            yield warn(
                f"{entry.name} was due at {slot_text(slot)} and was not published",
                f"any worker does it: 'riptide worker'; now: 'riptide schedule run {entry.name}'",
            )


CHECKS = (
    Check(
        "work.groups",
        "whether each stream has its consumer groups, and where they stand",
        "Without its group a stream is not read; a group beyond the newest entry is given nothing.",
        groups,
    ),
    Check(
        "work.unread",
        "whether each type of command has a living worker",
        "What nobody serves waits for ever, and its publishers are refused in the end.",
        unread,
    ),
    Check(
        "work.stuck",
        "entries that were given to a worker long ago",
        "They are not carried out: their worker is gone or hangs.",
        stuck,
    ),
    Check(
        "work.schedules",
        "whether what is published by the clock was",
        "Checkpoints, warming and the closing of months wait for it.",
        schedules,
    ),
)
