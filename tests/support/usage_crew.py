"""Producers of usage, each with a ledger of its own, and workers: processes that can be killed."""

import asyncio
import itertools
import json
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import redis

import riptide
from commands import RecordUsage
from riptide.cli.worker import for_heartbeats
from riptide.errors import PublishRefused, PublishUnknown, ServerUnavailable
from riptide.reads.sync_client import RipTide, connect
from riptide.store.keys import Keys, partition_of
from riptide.store.sync import open_store
from riptide.streams import publishing
from riptide.streams.job import Job
from riptide.streams.registry import CommandType
from riptide.streams.worker import Worker
from riptide.tenants.usage.counting import Counting
from tests.support.crew import Place
from tests.support.history import Recorder
from tests.support.usage import KIND
from tests.support.workers import of_a_worker
from workers import HANDLERS

TENANTS = [f"tenant-{n}" for n in range(50)]
OPERATIONS = ["page.render", "api/read", "api/write"]
_PAUSE = 0.01
_SLOW_SECONDS = 0.1  # a worker takes so long at most, so that it is often killed while it has something
_SEEN_AGAIN = 5_000  # entries looked through for one that may have been added before a connection broke
Fields = dict[str, Any]


# Workers


def count(place: Place) -> None:
    """The life of a worker process, until SIGTERM. It notes how many records its handler was given."""
    asyncio.run(_count(place))


async def _count(place: Place) -> None:
    settings, recorder, stop = place.settings(), Recorder(place.directory), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    own, rng = HANDLERS[KIND], random.Random()

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        recorder.add("handled", count=len(batch))
        await asyncio.sleep(rng.uniform(0, _SLOW_SECONDS))
        await own.handle(batch, ctx)

    rt = of_a_worker(settings)
    beat_store = await asyncio.to_thread(open_store, for_heartbeats(settings))
    types = [CommandType(KIND, RecordUsage, replace(own, handle=handle))]
    context = SimpleNamespace(rt=rt, counting=Counting(Keys(place.prefix)))
    worker = Worker(settings, types, rt.store, beat_store, context, place.clock())
    running = asyncio.create_task(worker.run())
    await asyncio.wait([running, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    worker.stop()
    await running
    beat_store.close()
    await rt.aclose()


# Producers


class Ledger:
    """What one producer knows to have been accepted: (tenant, month, operation, metric) -> sum."""

    def __init__(self, place: Place, name: str) -> None:
        self._path = place.directory / f"{name}.ledger"
        self._sums: Counter[tuple[str, str, str, str]] = Counter()
        self.sent = self.repeated = self.refused = 0

    def add(self, tenant: str, fields: Fields) -> None:
        month = f"{datetime.fromtimestamp(fields['at'] / 1000, UTC):%Y-%m}"
        amounts = {
            "operations": fields["operation_count"],
            "data_bytes": fields["data_bytes"],
            "compute_ms": fields["compute_ms"],
            "storage_bytes": fields["storage_bytes"],
        }
        for metric, amount in amounts.items():
            self._sums[tenant, month, fields["operation"], metric] += amount

    def close(self) -> None:
        rows = [[*key, amount] for key, amount in self._sums.items() if amount]
        facts = {"rows": rows, "sent": self.sent, "repeated": self.repeated, "refused": self.refused}
        self._path.write_text(json.dumps(facts))


def read_ledgers(directory: Path) -> tuple[Counter[tuple[str, str, str, str]], Counter[str]]:
    """All sums, and how many records were sent, repeated, and refused as repeated."""
    sums: Counter[tuple[str, str, str, str]] = Counter()
    facts: Counter[str] = Counter()
    for path in directory.glob("*.ledger"):
        told = json.loads(path.read_text())
        for *key, amount in told.pop("rows"):
            sums[tuple(key)] += amount
        facts.update(told)
    return sums, facts


def _records(seed: str, number: int, months: Sequence[int]) -> Iterator[tuple[str, Fields]]:
    """`number` records, of moments (Unix ms) in `months`."""
    rng = random.Random(seed)
    for _ in range(number):
        yield (
            rng.choice(TENANTS),
            {
                "operation": rng.choice(OPERATIONS),
                "operation_count": rng.randrange(1, 4),
                "data_bytes": rng.choice([0, rng.randrange(2**40)]),
                "compute_ms": rng.randrange(5000),
                "storage_bytes": rng.choice([0, 0, rng.randrange(2**30)]),
                "at": rng.choice(months) + rng.randrange(3_600_000),
            },
        )


def _client(place: Place, ledger: Ledger) -> RipTide:
    """Counts what the server answers to have seen before."""
    send = publishing._send

    def counting(*args: Any, **options: Any) -> Any:
        answers = yield from send(*args, **options)
        ledger.refused += sum(len(answer.refs) for answer in answers if answer.repeated)
        return answers

    publishing._send = counting
    return connect(config=place.settings())


def by_library(place: Place, seed: str, number: int, months: Sequence[int], pause: float) -> None:
    """One at a time; an attempt whose answer was lost is repeated."""
    ledger = Ledger(place, f"library-{seed}")
    with _client(place, ledger) as rt:
        for tenant, fields in _records(seed, number, months):
            ledger.sent += 1
            _until_known(rt, ledger, [riptide.Outgoing(RecordUsage(**fields), tenant=tenant)])
            ledger.add(tenant, fields)
            time.sleep(pause)
    ledger.close()


def by_batches(place: Place, seed: str, number: int, months: Sequence[int], pause: float) -> None:
    """Up to a hundred at a time."""
    ledger, rng = Ledger(place, f"batches-{seed}"), random.Random(seed)
    with _client(place, ledger) as rt:
        records = _records(seed, number, months)
        while batch := list(itertools.islice(records, rng.choice([1, 20, 100]))):
            ledger.sent += len(batch)
            _until_known(
                rt,
                ledger,
                [riptide.Outgoing(RecordUsage(**fields), tenant=tenant) for tenant, fields in batch],
            )
            for tenant, fields in batch:
                ledger.add(tenant, fields)
            time.sleep(pause * len(batch))
    ledger.close()


def _until_known(rt: RipTide, ledger: Ledger, batch: Sequence[riptide.Outgoing]) -> None:
    unknown: PublishUnknown | None = None
    while True:
        try:
            if unknown is None:
                rt.publish_many(batch)
            else:
                ledger.repeated += len(batch)
                rt.publish_again(unknown)
            return
        except PublishUnknown as error:
            unknown = error
        except (ServerUnavailable, PublishRefused):
            time.sleep(_PAUSE)


def by_key(place: Place, seed: str, number: int, months: Sequence[int], pause: float) -> None:
    """As HTTP clients do: whoever got no answer asks again, under the same key; and some ask twice anyway."""
    ledger, rng = Ledger(place, f"key-{seed}"), random.Random(seed)
    with _client(place, ledger) as rt:
        for n, (tenant, fields) in enumerate(_records(seed, number, months)):
            ledger.sent += 1
            for again in range(1 + (rng.random() < 0.1)):
                ledger.repeated += again
                _until_answered(rt, ledger, tenant, fields, f"{seed}-{n}")
            ledger.add(tenant, fields)
            time.sleep(pause)
    ledger.close()


def _until_answered(rt: RipTide, ledger: Ledger, tenant: str, fields: Fields, key: str) -> None:
    while True:
        try:
            rt.publish(RecordUsage(**fields), tenant=tenant, key=key)
            return
        except (PublishUnknown, ServerUnavailable, PublishRefused):
            ledger.repeated += 1
            time.sleep(_PAUSE)


def by_xadd(place: Place, seed: str, number: int, months: Sequence[int], pause: float) -> None:
    """Bare XADD. One that got no answer is looked for in the stream before it is sent again."""
    ledger, rng = Ledger(place, f"xadd-{seed}"), random.Random(seed)
    keys, client = Keys(place.prefix), redis.Redis.from_url(place.url)
    for tenant, fields in _records(seed, number, months):
        ledger.sent += 1
        older = {
            ("compute_time_ms" if name == "compute_ms" else name): value for name, value in fields.items()
        }
        entry = {"id": secrets.token_hex(16), "tenant": tenant, "body": json.dumps(older)}
        # Any partition is correct.
        partition = rng.choice([partition_of(tenant), partition_of(rng.choice(TENANTS))])
        _until_there(client, keys.commands(KIND, partition), entry, ledger)
        ledger.add(tenant, fields)
        time.sleep(pause)
    ledger.close()


def _until_there(client: Any, stream: str, entry: dict[str, str], ledger: Ledger) -> None:
    doubt = False
    while True:
        try:
            mine = entry["id"].encode()
            if doubt and any(
                fields.get(b"id") == mine for _, fields in client.xrevrange(stream, count=_SEEN_AGAIN)
            ):
                return
            client.xadd(stream, dict(entry))
            return
        except (redis.ConnectionError, redis.TimeoutError):
            doubt = True
            ledger.repeated += 1
            time.sleep(_PAUSE)
        except redis.ResponseError:  # it is just starting, or full
            time.sleep(_PAUSE)


PRODUCERS = (by_library, by_batches, by_key, by_xadd)
