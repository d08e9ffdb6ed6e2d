"""Checks of the server: whether it answers, which it is, and whether its cluster is whole."""

import time
from collections.abc import Iterator, Sequence

from redis.crc import key_slot

from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, fail, few, ok, problems_or, skipped, warn
from riptide.store.keys import PARTITIONS

_PAGE = "docs/servers.md"
_OLDEST = {"Redis": (7, 0), "Valkey": (8, 0)}
#: CVE-2025-49844: from -> repaired in. 7.0 is repaired by distributions alone.
_BROKEN: dict[str, dict[tuple[int, ...], int]] = {
    "Redis": {(7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "Valkey": {(8, 0): 6, (8, 1): 4},
}
_SLOTS = 16384


def reachable(facts: Facts) -> Sequence[Finding]:
    began = time.monotonic()
    for node in facts.nodes.names:
        facts.nodes.ask(node, "PING")
    seconds = time.monotonic() - began
    count = len(facts.nodes.names)
    nodes = f"{count} nodes answer" if facts.nodes.clustered else "it answers"
    return [ok(f"{nodes} ({seconds * 1000:.1f} ms)")]


def product(info: dict[str, str]) -> tuple[str, str]:
    """Name and version of a server."""
    if "dragonfly_version" in info:
        return "DragonflyDB", info["dragonfly_version"]
    if "valkey_version" in info:
        return "Valkey", info["valkey_version"]
    return "Redis", info.get("redis_version", "?")


def version(facts: Facts) -> Sequence[Finding]:
    found = sorted({product(info) for info in facts.infos.values()})
    problems = [finding for name, text in found for finding in judge_version(name, text)]
    shown = ", ".join(f"{name} {text}" for name, text in found)
    if len(found) > 1:
        problems.append(warn(f"nodes differ: {shown}", "finish the upgrade of the nodes"))
    return problems_or(problems, shown)


def judge_version(name: str, text: str) -> Iterator[Finding]:
    """What is wrong with a server of that name and version."""
    parts = tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
    oldest = _OLDEST.get(name)
    if oldest is None:
        yield warn(f"{name} {text}", f"read what was tested of it, and what was not: {_PAGE}")
    elif parts < oldest:
        wanted = ".".join(map(str, oldest))
        yield fail(f"{name} {text}", f"upgrade the server to {wanted} or later: {_PAGE}")
    else:
        repaired = _BROKEN[name].get(parts[:2])
        if repaired is not None and parts[2:] < (repaired,):
            yield warn(
                f"{name} {text} has CVE-2025-49844: who may run scripts may take the server over",
                f"upgrade it to {parts[0]}.{parts[1]}.{repaired} or later",
            )


def cluster(facts: Facts) -> Sequence[Finding]:
    if not facts.nodes.clustered:
        return [skipped("it is no cluster")]
    node = facts.nodes.names[0]
    state = facts.nodes.ask(node, "CLUSTER", "INFO").decode()
    rows = facts.nodes.ask(node, "CLUSTER", "SLOTS")
    slots = {slot: row[2][1] for row in rows for slot in range(row[0], row[1] + 1)}
    wanted = {partition: key_slot(partition.encode()) for partition in PARTITIONS}
    problems = []
    if "cluster_state:ok" not in state or len(slots) < _SLOTS:
        lost = [partition for partition, slot in wanted.items() if slot not in slots]
        problems.append(
            fail(
                f"{_SLOTS - len(slots):,} slots are served by nobody; "
                f"partitions lost: {few(lost, 16) or 'none'}",
                "bring the nodes back, or give their slots to others: redis-cli --cluster fix",
            )
        )
    holders = {slots[slot] for slot in wanted.values() if slot in slots}
    if len(facts.nodes.names) > 1 and len(holders) == 1:
        problems.append(
            warn("all partitions are on one node", "spread the slots: redis-cli --cluster rebalance")
        )
    return problems_or(problems, f"all slots are served, partitions by {len(holders)} nodes")


CHECKS = (
    Check(
        "server.reachable",
        "whether each node of redis.url answers",
        "Nothing can be read or published; services go on as docs/outages.md says.",
        reachable,
    ),
    Check(
        "server.version",
        "product and version of each node",
        "RipTide needs Redis 7.0, Valkey 8 or later: older ones lack what its scripts rely on.",
        version,
    ),
    Check(
        "cluster.slots",
        "whether all slots are served, and the partitions' by several nodes",
        "What lies in a slot that nobody serves cannot be read, published or carried out.",
        cluster,
    ),
)
