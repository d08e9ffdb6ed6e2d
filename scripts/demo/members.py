"""Who works: what the processes say of themselves with every heartbeat."""

import json
from dataclasses import dataclass

import redis

from riptide.store.keys import Keys


@dataclass(frozen=True, slots=True)
class Member:
    """A worker process. `age_seconds` tells for how long it has been running."""

    name: str
    commands: list[str]
    age_seconds: float


def members(client: redis.Redis, keys: Keys, lease_seconds: float) -> list[Member]:
    """Those that have been heard of within a lease, the oldest first."""
    with client.pipeline(transaction=True) as pipe:
        pipe.time()
        pipe.zrange(keys.control("members"), 0, -1, withscores=True)
        pipe.hgetall(keys.control("members:about"))
        (seconds, micros), beats, about = pipe.execute()
    now = seconds + micros / 1e6
    heard = [name for name, beat in beats if now - beat / 1000 <= lease_seconds and name in about]
    facts = {name: json.loads(about[name]) for name in heard}
    found = [
        Member(name.decode(), fact["commands"], max(0.0, now - fact["started_ms"] / 1000))
        for name, fact in facts.items()
    ]
    return sorted(found, key=lambda member: -member.age_seconds)
