"""The one place that builds keys. Each carries a hash tag, so its slot is known (docs/architecture.md)."""

import hashlib
import re
from functools import lru_cache

# Sixteen tags whose slots lie evenly over the 16,384 of a cluster. The order is part of the contract:
# a tenant's partition is picked by position, and counts only grow.
PARTITIONS = (
    *("10", "3", "61", "43", "11", "2", "60", "42"),
    *("12", "1", "63", "41", "13", "0", "62", "40"),
)

GROUP = "workers"
ARCHIVE_GROUP = "archive"


@lru_cache(maxsize=4096)
def partition_of(tenant: str | None) -> str:
    """The partition that balances and coalesces a tenant's commands. Any other is correct too."""
    if tenant is None:
        return PARTITIONS[0]
    digest = hashlib.blake2b(tenant.encode(), digest_size=4).digest()
    return PARTITIONS[int.from_bytes(digest) % len(PARTITIONS)]


_SESSION = re.compile(r"(:session:\{[^}]*\}:)(?!~).*", re.DOTALL)


def shown_key(key: str) -> str:
    """A key as logs may have it: without the id of a session, which is a secret."""
    return _SESSION.sub(r"\1…", key)


class Keys:
    """Builders of every key under one prefix. Arguments must have been checked by `riptide.names`."""

    __slots__ = ("control_tag", "prefix")

    def __init__(self, prefix: str = "riptide") -> None:
        self.prefix = prefix
        self.control_tag = f"{prefix}:control:{{{prefix}}}"

    # Streams of a partition: all in one slot, so that one script can complete a command.
    def commands(self, kind: str, partition: str) -> str:
        return f"{self.prefix}:commands:{kind}:{{{partition}}}"

    def slow(self, kind: str, partition: str) -> str:
        """The stream to which a flooding tenant's entries are moved, so that others need not wait."""
        return f"{self.prefix}:commands:{kind}:slow:{{{partition}}}"

    def stream(self, kind: str, partition: str, *, slow: bool) -> str:
        return self.slow(kind, partition) if slow else self.commands(kind, partition)

    def retry(self, kind: str, partition: str) -> str:
        """Sorted set: first entry id of a command that will run again -> due time, or +inf once it is back
        in its stream."""
        return f"{self.prefix}:retry:{kind}:{{{partition}}}"

    def retry_bodies(self, kind: str, partition: str) -> str:
        """Hash beside `retry`: first entry id -> the packed entry to put back; once it is back, its new entry
        id."""
        return f"{self.prefix}:retry:{kind}:{{{partition}}}:bodies"

    def dead(self, kind: str, partition: str) -> str:
        return f"{self.prefix}:dead:{kind}:{{{partition}}}"

    def result(self, kind: str, partition: str, entry_id: str) -> str:
        return f"{self.prefix}:result:{kind}:{{{partition}}}:{entry_id}"

    def lane(self, partition: str, lane: str) -> str:
        return f"{self.prefix}:lane:{{{partition}}}:{lane}"

    def fence(self, partition: str, consumer: str) -> str:
        return f"{self.prefix}:fence:{{{partition}}}:{consumer}"

    def full(self, kind: str, partition: str) -> str:
        """A flag for a second or so: the backlog has reached its cap, so publishing refuses."""
        return f"{self.prefix}:full:{kind}:{{{partition}}}"

    def positions(self, partition: str) -> str:
        """Hash: type -> what the workers' group had been given before its oldest unfinished entry."""
        return f"{self.prefix}:position:{{{partition}}}"

    def floor(self, partition: str) -> str:
        """Hash: type -> the oldest entry that the newest durable checkpoint needs."""
        return f"{self.prefix}:floor:{{{partition}}}"

    def archive(self, partition: str) -> str:
        """Hash: who archives this partition, and how far each type has come."""
        return f"{self.prefix}:archive:{{{partition}}}"

    def usage(self, partition: str, tenant: str, period: str) -> str:
        """Hash: a tenant's sums of one hour (`2026-11-20T12`) or month, as far as they were counted here."""
        return f"{self.prefix}:usage:{{{partition}}}:{tenant}:{period}"

    def seals(self, partition: str, tenant: str) -> str:
        """Hash: month -> how often the tenant's sums of it have been sealed here."""
        return f"{self.prefix}:usage:{{{partition}}}:{tenant}:seals"

    def access(self, partition: str, tenant: str) -> str:
        """Hash: sums of what processes have reported of a tenant's entries, as far as they were counted here;
        and, by their place in the hour, those of the last 60 minutes."""
        return f"{self.prefix}:access:{{{partition}}}:{tenant}:sums"

    def access_processes(self, partition: str, tenant: str) -> str:
        """Sorted set: process -> when it reported last (s), of the last hour."""
        return f"{self.prefix}:access:{{{partition}}}:{tenant}:processes"

    def popular(self, partition: str, tenant: str) -> str:
        """Sorted set: `<namespace>:<key>` -> how often it was read, as far as that was counted here: the
        binary logarithm of its decayed reads, and one more for each half-life since 1970."""
        return f"{self.prefix}:access:{{{partition}}}:{tenant}:popular"

    def load_times(self, partition: str, tenant: str) -> str:
        """Hash beside `popular`: `<namespace>:<key>` -> what loading it takes (us), where that is known."""
        return f"{self.prefix}:access:{{{partition}}}:{tenant}:load_times"

    def gone(self, partition: str) -> str:
        """Hash: digest of a purged tenant's id -> when (server ms); and, with `:dropped`, how many of its
        records came too late."""
        return f"{self.prefix}:gone:{{{partition}}}"

    def counted(self, partition: str) -> str:
        """Hash: type -> up to which entry a restore has counted what was never in this stream; with
        `:<digest>`, of one tenant."""
        return f"{self.prefix}:counted:{{{partition}}}"

    def restored(self, partition: str) -> str:
        """Hash: digest of a tenant's id -> which restore has changed its sums here last."""
        return f"{self.prefix}:restored:{{{partition}}}"

    # Control: one slot for what all processes agree on.
    def control(self, name: str) -> str:
        return f"{self.control_tag}:{name}"

    # A tenant's own.
    def record(self, tag: str) -> str:
        """Hash: the tenant's record; in the slot of a shard, what its scripts need of it."""
        return f"{self.prefix}:registry:{{{tag}}}"

    def restoring(self, tag: str, token: str) -> str:
        """What a restore, known by `token`, may bring back in a tenant's slot though there is no record. A
        large key is put together behind it."""
        return f"{self.prefix}:restoring:{{{tag}}}:{token}"

    def audit(self, tenant: str) -> str:
        """Stream: who did what to the tenant."""
        return f"{self.prefix}:audit:{{{tenant}}}"

    def invoices(self, tenant: str) -> str:
        """Hash: number of an invoice or a credit note -> its JSON."""
        return f"{self.prefix}:invoice:{{{tenant}}}"

    def keyring(self, tenant: str) -> str:
        """Hash: id of a data key -> the key, wrapped, as it is in the blob store."""
        return f"{self.prefix}:keyring:{{{tenant}}}"

    def api_key(self, tenant: str | None, key: str) -> str:
        """Hash: an API key, without the secret; of a tenant in its slot, else in that of control."""
        return (
            self.control(f"api-key:{key}") if tenant is None else f"{self.prefix}:apikey:{{{tenant}}}:{key}"
        )

    def api_keys(self, tenant: str | None) -> str:
        """Sorted set: id of each API key -> from when on it may be forgotten, Unix ms, or +inf."""
        return self.control("api-keys") if tenant is None else f"{self.prefix}:apikey:{{{tenant}}}:~index"

    def api_key_uses(self, tenant: str | None) -> str:
        """Hash: id of an API key -> when it was used, about, Unix ms. Apart from the keys, so that who may
        note that need not be able to change any."""
        if tenant is None:
            return self.control("api-keys:used")
        return f"{self.prefix}:apikey:{{{tenant}}}:~used"

    def quota(self, tenant: str, name: str) -> str:
        """Hash: what was taken of a rate or a total; or, as `refusals`, how often it was refused more."""
        return f"{self.prefix}:quota:{{{tenant}}}:{name}"

    def account(self, tag: str) -> str:
        """Hash: entries and bytes that this slot holds, what expires when, and byte-seconds by month."""
        return f"{self.prefix}:account:{{{tag}}}"

    def account_index(self, tag: str) -> str:
        """Sorted set: `<namespace>:<digest>` of each entry -> the second at which it expires."""
        return f"{self.prefix}:account:{{{tag}}}:index"

    def account_garbage(self, tag: str) -> str:
        """Sorted set: namespaces whose entries an invalidation left behind -> when that was, server ms."""
        return f"{self.prefix}:account:{{{tag}}}:garbage"

    def entry_blobs(self, tenant: str) -> str:
        """Sorted set, in the tenant's own slot: `<name of the blob>:<its bytes>` of each blob that holds an
        entry -> the second at which that expires; 0: nobody needs it; minus a second: what was begun can be
        judged then."""
        return f"{self.account(tenant)}:blobs"

    # A tenant's sessions: all in its own slot, however many shards its cache has, so that their number is
    # exact.
    def session(self, tenant: str, session_id: str) -> str:
        """Hash: one session, or what stands for it while its data is in the blob store."""
        return f"{self.prefix}:session:{{{tenant}}}:{session_id}"

    def session_account(self, tenant: str) -> str:
        """Hash: how many sessions there are, and their bytes; what their blobs take, and how often they
        moved."""
        return self.session(tenant, "~account")

    def session_index(self, tenant: str) -> str:
        """Sorted set: id of each session -> the second at which it expires."""
        return self.session(tenant, "~index")

    def session_users(self, tenant: str) -> str:
        """Sorted set, all scores 0: `<digest of the user's id>:<id of the session>`."""
        return self.session(tenant, "~users")

    def session_spilled(self, tenant: str) -> str:
        """Sorted set: ids of the sessions whose data is in the blob store -> the second at which they
        expire."""
        return self.session(tenant, "~spilled")

    def session_blobs(self, tenant: str) -> str:
        """Sorted set: `<name of the blob>:<its bytes>` -> the second from which on nobody needs it."""
        return self.session(tenant, "~blobs")

    # A tenant's cache. Entries and epochs alone live under `tenant:`, because near caches track that prefix.
    def namespace(self, tag: str, namespace: str) -> str:
        """What every entry key of a namespace begins with; `tag` is the tenant, or `<tenant>.<shard>`."""
        return f"{self.prefix}:tenant:{{{tag}}}:{namespace}:"

    def tag(self, tag: str, namespace: str, name: str) -> str:
        """Sorted set: digests of the entries that bear the tag `name` -> when they expire, server ms."""
        return f"{self.prefix}:tag:{{{tag}}}:{namespace}:{name}"

    def lease(self, tag: str, namespace: str, name: str) -> str:
        return f"{self.prefix}:lease:{{{tag}}}:{namespace}:{name}"

    def entry(self, tag: str, namespace: str, digest: str) -> str:
        return self.namespace(tag, namespace) + digest

    def epoch(self, tag: str, namespace: str) -> str:
        return self.namespace(tag, namespace) + "~epoch"

    def namespaces(self, tag: str) -> str:
        """Sorted set: namespaces that have an epoch in this slot -> when that expires, server ms."""
        return f"{self.prefix}:tag:{{{tag}}}:~namespaces"

    def tag_generation(self, tag: str) -> str:
        """Counts the tag invalidations of this slot, so that a lease can tell what came after it."""
        return f"{self.prefix}:tag:{{{tag}}}:~generation"

    def tag_stamp(self, tag: str, namespace: str, name: str) -> str:
        """The generation at which the tag `name` was last invalidated, kept for the longest lease."""
        return self.tag(tag, namespace, name) + ":stamp"

    def tag_doomed(self, tag: str, namespace: str, name: str) -> str:
        """The tag's index as it was when its invalidation began; emptied step by step."""
        return self.tag(tag, namespace, name) + ":doomed"
