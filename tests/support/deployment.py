"""One deployment under test: its settings, and an outsider's view of what its streams hold."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import redis

from commands import COMMANDS
from riptide.config import (
    BlobsSettings,
    CacheSettings,
    DistributedSettings,
    RedisSettings,
    RedisUrl,
    SecuritySettings,
    Settings,
    StateSettings,
    StreamsSettings,
    TenantSettings,
    WorkersSettings,
)
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.streams.message import unpack_fields
from tests.support import commands

MODULE = "tests.support.commands"
#: Settings under which a dead worker is noticed sooner than by default: a lease short enough to be outlived
#: several times, long enough that a busy machine does not look dead.
SHORT: dict[str, Any] = {"workers": {"lease_seconds": 1.0}, "distributed": {"heartbeat_interval_ms": 250}}
#: Where it is asked who ran something, or how often: nobody is taken for dead who stands still for seconds.
STEADY: dict[str, Any] = {"workers": {"lease_seconds": 5.0}, "distributed": {"heartbeat_interval_ms": 250}}
#: Nothing is written down unasked, but where a test begins or ends on a Thursday at midnight.
SELDOM: dict[str, Any] = {"checkpoint_interval_seconds": 604_800}
TYPES: tuple[str, ...] = tuple(commands.HANDLERS)


def make_settings(
    url: str,
    prefix: str,
    *,
    cluster: bool = False,
    redis: dict[str, Any] | None = None,
    cache: dict[str, Any] | None = None,
    workers: dict[str, Any] | None = None,
    streams: dict[str, Any] | None = None,
    distributed: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    tenant: dict[str, Any] | None = None,
    blobs: dict[str, Any] | None = None,
    security: dict[str, Any] | None = None,
) -> Settings:
    """Settings with the test commands; retries come quickly, and nothing is warmed unasked."""
    quick = {"retry_base_seconds": 0.02, "retry_cap_seconds": 0.2, "modules": (MODULE,)}
    return Settings(
        redis=RedisSettings(**({"url": RedisUrl(url), "cluster_mode": cluster} | (redis or {}))),
        cache=CacheSettings(**({"key_prefix": prefix, "enable_warming": False} | (cache or {}))),
        workers=WorkersSettings(**(quick | (workers or {}))),
        streams=StreamsSettings(**(streams or {})),
        distributed=DistributedSettings(**(distributed or {})),
        state=StateSettings(**(SELDOM | (state or {}))),
        tenant=TenantSettings(**(tenant or {})),
        blobs=BlobsSettings(**(blobs or {})),
        security=SecuritySettings(**(security or {})),
    )


class Deployment:
    """An outsider's look, by a plain client, at everything under one prefix."""

    def __init__(self, url: str, prefix: str, *, cluster: bool = False, owner_url: str = "") -> None:
        self.url, self.prefix, self.cluster = url, prefix, cluster
        self.keys = Keys(prefix)
        own = redis.RedisCluster if cluster else redis.Redis
        self.client: Any = own.from_url(owner_url or url)

    def settings(self, **sections: Any) -> Settings:
        return make_settings(self.url, self.prefix, cluster=self.cluster, **sections)

    def close(self) -> None:
        self.client.close()

    def add(self, kind: str, fields: dict[Any, Any], partition: str = PARTITIONS[0]) -> str:
        """A bare XADD, as a foreign producer sends it; answers the entry id."""
        entry: bytes = self.client.xadd(self.keys.commands(kind, partition), fields)
        return entry.decode()

    def entries(self, kind: str) -> list[tuple[str, str, dict[bytes, bytes]]]:
        """(partition, entry id, fields) of everything in the streams of `kind`."""
        return [
            (partition, entry.decode(), fields)
            for partition in PARTITIONS
            for entry, fields in self.client.xrange(self.keys.commands(kind, partition))
        ]

    def published_ids(self, kinds: Iterable[str] = (*COMMANDS, *TYPES)) -> Counter[str]:
        """How often each command id stands in the streams."""
        return Counter(
            fields[b"id"].decode() for kind in kinds for _, _, fields in self.entries(kind) if b"id" in fields
        )

    def letters(self, kind: str, partitions: Iterable[str] = PARTITIONS) -> list[dict[bytes, bytes]]:
        """The dead letters of `kind`, raw."""
        return [
            fields
            for partition in partitions
            for _, fields in self.client.xrange(self.keys.dead(kind, partition))
        ]

    def originals(self, kind: str) -> list[list[bytes]]:
        """The original fields (name, value, …) of each dead letter."""
        return [unpack_fields(letter[b"orig"]) for letter in self.letters(kind)]

    def streams(self, kind: str) -> list[str]:
        """All keys that workers read for `kind`."""
        return [self.keys.stream(kind, p, slow=slow) for p in PARTITIONS for slow in (False, True)]

    def pending(self, kind: str) -> dict[str, int]:
        """Consumer -> how many entries it holds."""
        held: Counter[str] = Counter()
        for key in self.streams(kind):
            try:
                rows = self.client.xpending(key, GROUP)["consumers"] or []
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                continue
            for row in rows:
                held[row["name"].decode()] += int(row["pending"])
        return dict(held)

    def unread(self, kind: str) -> int:
        """Entries that no consumer has been given."""
        total = 0
        for key in self.streams(kind):
            if not self.client.exists(key):
                continue
            groups = [row for row in self.client.xinfo_groups(key) if row["name"] == GROUP.encode()]
            last = groups[0]["last-delivered-id"].decode() if groups else "0-0"
            total += len(self.client.xrange(key, f"({last}", "+"))
        return total

    def waiting(self, kind: str) -> int:
        """Commands in the retry schedule, waiting or put back."""
        return sum(int(self.client.zcard(self.keys.retry(kind, partition))) for partition in PARTITIONS)

    def at_rest(self, *kinds: str) -> bool:
        """Nothing is unread, held by a worker, or to be retried."""
        return not any(self.unread(k) or sum(self.pending(k).values()) or self.waiting(k) for k in kinds)

    def members(self) -> list[str]:
        found = self.client.zrange(self.keys.control("members"), 0, -1)
        return [name.decode() for name in found]

    def server_seconds(self) -> float:
        """Unix time by the server's clock."""
        seconds, micros = self.client.time(target_nodes="random") if self.cluster else self.client.time()
        return float(seconds + micros / 1e6)

    def seconds_there(self, member: str) -> float:
        """For how long a member has been beating without a gap, by the server's clock."""
        since = self.client.hget(self.keys.control("members:since"), member)
        return 0.0 if since is None else self.server_seconds() - int(since) / 1000

    def starts(self, into: str) -> list[tuple[str, int, int]]:
        """(command id, attempt, process id) of each start of an `effect`, in order."""
        rows = [row.decode().split() for row in self.client.lrange(f"{into}:starts", 0, -1)]
        return [(command, int(attempt), int(pid)) for command, attempt, pid, _ in rows]

    def start_times(self, into: str) -> list[float]:
        """When (Unix seconds) each start of an `effect` was, in order."""
        return [float(row.split()[3]) for row in self.client.lrange(f"{into}:starts", 0, -1)]

    def done(self, into: str) -> set[str]:
        return {member.decode() for member in self.client.smembers(f"{into}:done")}

    def ends(self, into: str) -> Counter[str]:
        return Counter(row.decode() for row in self.client.lrange(f"{into}:ends", 0, -1))
