"""An outsider's look, by a plain client, at what a deployment still has to do and what it has buried."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import redis

from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.streams.status import Status
from tests.support.checker import Census
from tests.support.waiting import PATIENCE

_LOOK_SECONDS = 0.03
_AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ResponseError,
    redis.exceptions.RedisClusterException,
)


def unfinished(client: Any, keys: Keys, kinds: Iterable[str], partitions: Iterable[str]) -> dict[str, str]:
    """First entry's reference of each command that waits or runs -> where it is; empty at rest."""
    found: dict[str, str] = {}
    for kind in kinds:
        for partition in partitions:
            for slow in (False, True):
                for first, where in _in_stream(client, keys.stream(kind, partition, slow=slow)):
                    found[f"{kind}.{partition}.{first}"] = where
            for first, due in client.zrange(keys.retry(kind, partition), 0, -1, withscores=True):
                where = "put back" if due == float("inf") else "waiting for its retry"
                found.setdefault(f"{kind}.{partition}.{first.decode()}", where)
    return found


def _in_stream(client: Any, key: str) -> list[tuple[str, str]]:
    newest = client.xrevrange(key, count=1)
    if not newest:
        return []
    groups = [row for row in client.xinfo_groups(key) if row["name"] == GROUP.encode()]
    if not groups:
        return [(_first(*entry), "in a stream without its group") for entry in client.xrange(key)]
    found = []
    if _number(newest[0][0]) > _number(groups[0]["last-delivered-id"]):
        unread = client.xrange(key, f"({groups[0]['last-delivered-id'].decode()}", "+")
        found += [(_first(*entry), "unread") for entry in unread]
    if groups[0]["pending"]:
        for row in client.xpending_range(key, GROUP, "-", "+", 10_000):
            entries = client.xrange(key, row["message_id"], row["message_id"])
            first = _first(*entries[0]) if entries else row["message_id"].decode()
            found.append((first, f"held by {row['consumer'].decode()}"))
    return found


def _number(entry: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in entry.split(b"-"))


def _first(entry: bytes, fields: dict[bytes, bytes]) -> str:
    return (fields[b"src"] if b"orig" in fields else entry).decode()


def wait_for_rest(
    client: Any,
    keys: Keys,
    kinds: Sequence[str],
    partitions: Sequence[str] = PARTITIONS,
    patience: float = PATIENCE,
) -> dict[str, str]:
    """Wait until nothing waits or runs; answers what is left when patience ends, for the checker to judge."""
    deadline = time.monotonic() + patience
    left: dict[str, str] = {"?": "the server does not answer"}
    while True:
        with suppress(*_AWAY):
            left = unfinished(client, keys, kinds, partitions)
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(_LOOK_SECONDS)


def take_census(
    client: Any,
    keys: Keys,
    kinds: Sequence[str],
    partitions: Sequence[str] = PARTITIONS,
    *,
    left: dict[str, str],
    ask: Callable[[str], Status] | None = None,
    refs: Sequence[str] = (),
) -> Census:
    """Count the dead, and `ask` (the product) about some commands by reference."""
    dead = [
        f"{kind}.{partition}.{fields[b'src'].decode()}"
        for kind in kinds
        for partition in partitions
        for _, fields in client.xrange(keys.dead(kind, partition))
    ]
    states = {ref: ask(ref).state for ref in refs} if ask is not None else {}
    return Census(left, dead, states)
