"""Checks of how a server keeps what it is given, and of clocks."""

import time
from collections.abc import Iterator, Sequence

from riptide.doctor.facts import Facts, number
from riptide.doctor.finding import Check, Finding, fail, problems_or, span, warn
from riptide.errors import ServerRefused
from riptide.store.operation import Operation, identity

_FULL_PERCENT, _NEARLY_PERCENT = 95, 80
_CLOCK_SECONDS, _CLOCK_FAR_SECONDS = 1.0, 60.0


def eviction(facts: Facts) -> Sequence[Finding]:
    problems = []
    for node, info in facts.infos.items():
        policy, most = info.get("maxmemory_policy", "?"), number(info, "maxmemory")
        if policy != "noeviction":
            tell = fail if most else warn
            problems.append(
                tell(
                    f"maxmemory-policy of {facts.named(node)} is {policy}",
                    "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file",
                )
            )
    return problems_or(problems, "noeviction")


def memory(facts: Facts) -> Sequence[Finding]:
    problems, shown = [], []
    for node, info in facts.infos.items():
        used, most = number(info, "used_memory"), number(info, "maxmemory")
        most_or_machine = most or number(info, "total_system_memory")
        percent = 100 * used // most_or_machine if most_or_machine else 0
        of = "maxmemory" if most else "the machine, and maxmemory is not set"
        text = f"{used / 2**20:,.0f} MiB, {percent} % of {of}"
        shown.append(text)
        # Without a bound it needs as much again while it writes its data to disk.
        full, nearly = (_FULL_PERCENT, _NEARLY_PERCENT) if most else (_NEARLY_PERCENT, _NEARLY_PERCENT // 2)
        if percent >= nearly:
            tell = fail if percent >= full else warn
            problems.append(
                tell(
                    f"{facts.named(node)} uses {text}",
                    "raise maxmemory, or see what takes it: 'riptide state spill', 'riptide streams', "
                    "'riptide cache stats'",
                )
            )
    return problems_or(problems, "; ".join(shown))


def persistence(facts: Facts) -> Sequence[Finding]:
    problems = []
    for node, info in facts.infos.items():
        problems += list(judge_persistence(facts.named(node), info, _config(facts, node)))
    return problems_or(problems, "AOF is on, and the last writes went well")


def _config(facts: Facts, node: str) -> dict[str, str]:
    """Settings of the server, if this user may ask for them."""
    found: dict[str, str] = {}
    for name in ("save", "appendfsync"):
        try:
            reply = facts.nodes.ask(node, "CONFIG", "GET", name)
        except ServerRefused:
            continue
        found |= {key.decode(): value.decode() for key, value in zip(reply[::2], reply[1::2], strict=True)}
    return found


def judge_persistence(node: str, info: dict[str, str], config: dict[str, str]) -> Iterator[Finding]:
    """What is wrong with how a server keeps its data; it may not tell its `config`."""
    for name, what in (
        ("aof_last_write_status", "its last write to the AOF failed"),
        ("aof_last_bgrewrite_status", "the last rewrite of its AOF failed"),
        ("rdb_last_bgsave_status", "its last snapshot failed"),
    ):
        if info.get(name, "ok") != "ok":
            yield fail(
                f"{node}: {what}", "make room on its disk and read its log; until then it refuses writes"
            )
    if info.get("loading") == "1":
        yield warn(f"{node} is still loading its data", "wait")
    if info.get("aof_enabled", "0") == "0":
        remedy = "CONFIG SET appendonly yes, and the same in its configuration file"
        if config.get("save", "?") == "":
            yield fail(f"{node} writes nothing to disk: neither AOF nor snapshots", remedy)
        else:
            yield warn(f"AOF is off on {node}: what came after the last snapshot is lost with it", remedy)
    elif config.get("appendfsync") == "no":
        yield warn(f"appendfsync of {node} is no", "CONFIG SET appendfsync everysec, or always")


def clock(facts: Facts) -> Sequence[Finding]:
    apart = {}
    for node in facts.nodes.names:
        before = time.time()
        seconds, micros = facts.nodes.ask(node, "TIME")
        apart[facts.named(node)] = _apart(int(seconds) + int(micros) / 1e6, before, time.time())
    problems = [_clock_off(f"the clock of {node} and this host's", by) for node, by in apart.items()]
    problems += [
        _clock_off(f"the clock of host {host} is ahead, and the server's", by) for host, by in _ahead(facts)
    ]
    found = [one for one in problems if one is not None]
    return problems_or(found, f"the server's is {max(map(abs, apart.values())):.3f} s off this host's")


def _apart(there: float, before: float, after: float) -> float:
    """By how much the server's clock is off at least: it was looked at somewhen between the two."""
    return there - min(max(there, before), after)


def _clock_off(what: str, seconds: float) -> Finding | None:
    if abs(seconds) < _CLOCK_SECONDS:
        return None
    tell = fail if abs(seconds) >= _CLOCK_FAR_SECONDS else warn
    return tell(f"{what} are {span(abs(seconds))} apart", "let NTP set the clocks of all hosts (timedatectl)")


def _ahead(facts: Facts) -> Iterator[tuple[str, float]]:
    """Hosts by whose clock a process began after the server first heard of it, and by how much."""
    members = facts.census.members
    if not members:
        return
    names = [member.name for member in members]
    since = facts.store.run(Operation(("HMGET", facts.keys.control("members:since"), *names), identity))
    hosts: dict[str, float] = {}
    for member, first_ms in zip(members, since, strict=True):
        by = (member.started_ms - int(first_ms or member.started_ms)) / 1000
        hosts[member.host] = max(hosts.get(member.host, 0.0), by)
    yield from hosts.items()


CHECKS = (
    Check(
        "server.eviction",
        "maxmemory-policy",
        "A server that evicts throws away streams, tenants and accounts like any other key.",
        eviction,
    ),
    Check(
        "server.memory",
        "memory used, of maxmemory or of the machine",
        "At maxmemory the server refuses to publish and to cache; without a bound the system ends it.",
        memory,
    ),
    Check(
        "server.persistence",
        "AOF, appendfsync, and how the last writes to disk ended",
        "What was acknowledged is only as safe as what the server has on disk.",
        persistence,
    ),
    Check(
        "server.clock",
        "the clocks of servers, of this host, and of hosts with workers",
        "Expiry, delays and schedules go by the server's clock; tokens, logs and invoices meet the hosts'.",
        clock,
    ),
)
