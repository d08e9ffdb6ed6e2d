"""Tenants with something of everything, and an outsider's look at all keys of a deployment."""

from collections.abc import Iterable, Mapping
from typing import Any

import riptide
from riptide.config import Settings
from riptide.reads.sync_client import RipTide
from riptide.store.keys import GROUP, PARTITIONS, partition_of
from riptide.streams.completion import Completion
from riptide.streams.job import Again, Buried, Done, HandedBack, Outcome, Postponed
from riptide.streams.message import Entry
from riptide.streams.takeover import PartitionOps
from riptide.tenants.billing.invoice import Invoice
from tests.support.commands import Noop
from tests.support.deployment import Deployment

KIND = "noop"
MONTH, HOUR = "2026-10", "2026-10-07T12"
#: What becomes of one command each, besides those that wait for a worker.
_OUTCOMES: list[Outcome] = [
    *(Again(3600, "again"), Buried("failed", "dead"), Done('"value"'), HandedBack(started=False)),
    *(Done(None), Postponed(2**42)),
]

#: Key and place in it -> value.
Dump = dict[bytes, Any]


def have_everything(deployment: Deployment, settings: Settings, tenants: Mapping[str, int]) -> None:
    """Create tenants with so many shards, and fill all that they can have: entries, usage, invoices, commands
    in every state."""
    with riptide.connect(config=settings) as rt:
        for number, (tenant, shards) in enumerate(tenants.items()):
            rt.tenants.create(tenant, shards=shards, owner={"name": f"owner of {tenant}"})
            rt.tenants.allow(tenant, "pages:*", "read")
            for key in range(20):
                rt.cache.set(f"k{key}", tenant, tenant=tenant, namespace="pages", tags=["t", f"t{key}"])
            rt.cache.set("other", tenant, tenant=tenant)
            rt.cache.invalidate(tags=["t3"], tenant=tenant, namespace="pages")
            rt.cache.invalidate_namespace("default", tenant=tenant)
            rt.sessions.create("ada", {"of": tenant}, tenant=tenant)
            rt.quotas.check(tenant, {"operations_per_minute": 3, "data_transfer_bytes": 5})
            _fill_by_hand(deployment, tenant, shards)
            for partition in _partitions(tenant):
                _have_commands(deployment, settings, rt, tenant, partition, f"worker{number}")
        for tenant in tenants:
            for partition in _partitions(tenant):
                for body in ('{"n":1}', '{"n":2}'):
                    deployment.add(KIND, {"tenant": tenant, "body": body}, partition)
            rt.publish(Noop(n=9), tenant=tenant, key=f"key of {tenant}")
            rt.publish(Noop(n=9), tenant=tenant, delay=3600)


#: How many commands of each of them would still run.
UNFINISHED = 2 * (2 + 5) + 2


def _partitions(tenant: str) -> tuple[str, str]:
    """Its own and a foreign one."""
    home = partition_of(tenant)
    return home, next(p for p in PARTITIONS if p != home)


def _fill_by_hand(deployment: Deployment, tenant: str, shards: int) -> None:
    client, keys = deployment.client, deployment.keys
    for partition in PARTITIONS[::5]:
        client.hset(keys.usage(partition, tenant, MONTH), "0|render|operations", 7)
        client.hset(keys.usage(partition, tenant, HOUR), "0|render|operations", 7)
        client.hset(keys.seals(partition, tenant), MONTH, 1)
        client.hset(keys.access(partition, tenant), "hits", 7)
        client.zadd(keys.access_processes(partition, tenant), {"vm.1": 7})
        client.zadd(keys.popular(partition, tenant), {"pages:k1": 7})
        client.hset(keys.load_times(partition, tenant), "pages:k1", 7)
    invoice = Invoice(number=MONTH, tenant=tenant, month=MONTH, currency="EUR", issued_ms=1, total_micros=5)
    client.hset(keys.invoices(tenant), MONTH, invoice.model_dump_json())
    member = f"entries/{tenant}/0/1-{'0' * 24}-{'0' * 32}-pages:7"
    client.zadd(keys.entry_blobs(tenant), {member: 2**33})
    client.hset(keys.account(tenant), "storage", 7)
    client.hset(keys.keyring(tenant), "1", f'{{"tenant": "{tenant}"}}')
    for tag in [tenant] if shards == 1 else [f"{tenant}.{n}" for n in range(shards)]:
        client.set(keys.lease(tag, "pages", "0" * 32), "lease", px=3_600_000)


def _have_commands(
    deployment: Deployment, settings: Settings, rt: RipTide, tenant: str, partition: str, consumer: str
) -> None:
    """Some that are over, wait, are dead, were moved out of the way, or are held by a worker."""
    client, keys = deployment.client, deployment.keys
    ops = PartitionOps(keys, [KIND], partition)
    rt.store.run(ops.raise_fence(consumer))
    rt.store.run(ops.ensure_groups(consumer))
    for number in range(len(_OUTCOMES) + 1):
        deployment.add(KIND, {"tenant": tenant, "body": f'{{"n":{number}}}'}, partition)
    *over, _held = _read(deployment, partition, consumer)
    completion = Completion(keys, settings.streams, consumer)
    rt.store.run_all(completion.settle(list(zip(over, _OUTCOMES, strict=True))))
    first = over[0].id + "9"
    fields = {"id": "moved", "at": 1, "src": first, "attempts": 0, "orig": _packed("tenant", tenant)}
    moved = client.xadd(keys.slow(KIND, partition), fields)
    client.zadd(keys.retry(KIND, partition), {first: "+inf"})
    client.hset(keys.retry_bodies(KIND, partition), first, moved)
    _read(deployment, partition, consumer)  # what was handed back


def _read(deployment: Deployment, partition: str, consumer: str) -> list[Entry]:
    stream = {deployment.keys.commands(KIND, partition): ">"}
    rows: Any = deployment.client.xreadgroup(GROUP, consumer, stream)
    found = next(iter(rows.values()))[0] if isinstance(rows, dict) else rows[0][1]
    return [
        Entry(KIND, partition, entry.decode(), [part for pair in fields.items() for part in pair])
        for entry, fields in found
    ]


def _packed(*fields: str) -> bytes:
    return b"".join(len(field).to_bytes(4) + field.encode() for field in fields)


def dump(deployment: Deployment) -> Dump:
    """All that the deployment's keys hold: single values, fields, members and entries by their place."""
    names = set(deployment.client.scan_iter(f"{deployment.prefix}:*", count=5000))
    return {
        name + b"|" + place: value
        for name in names
        for place, value in _parts(deployment.client, name).items()
    }


def _parts(client: Any, name: bytes) -> dict[bytes, Any]:
    match client.type(name).decode():
        case "string":
            return {b"": client.get(name)}
        case "hash":
            return dict(client.hgetall(name))
        case "zset":
            return dict(client.zrange(name, 0, -1, withscores=True))
        case "stream":
            return dict(client.xrange(name))
        case _:
            return {}  # it was there for a moment only


def of_tenant(found: Dump, tenant: str, but: Iterable[str] = ()) -> Dump:
    """What names a tenant, or is in a key that does; `but` are longer names that hold its own.

    Ids of two letters would be found in checksums, too.
    """
    others = sorted((name.encode() for name in but if tenant in name), key=len, reverse=True)

    def names_it(place: bytes, value: Any) -> bool:
        text = place + b" " + (value if isinstance(value, bytes) else repr(value).encode())
        for other in others:
            text = text.replace(other, b"")
        return tenant.encode() in text

    return {place: value for place, value in found.items() if names_it(place, value)}
