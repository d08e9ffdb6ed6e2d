"""A server is killed under load and its data deleted: what a restore brings back is, to the unit, what the
clients' own books say up to the printed position."""

import json
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.reads.sync_client import RipTide
from riptide.state.archive import reading
from riptide.state.archive.names import order as _order
from riptide.state.archive.names import segments
from riptide.state.blobs import open_blobs
from riptide.store.keys import PARTITIONS
from tests.servers import ServerProcess
from tests.support.archives import archiving, wait_archived
from tests.support.books import Crowd, QuotaClerk, SessionClerk, Totals, UsageClerk, taken
from tests.support.checkpointed import forget
from tests.support.cli import CommandLine
from tests.support.commands import Effect
from tests.support.deployment import Deployment
from tests.support.usage import KIND, by_month, counted, month_before
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BILLED, BUSY = ("acme", "globex"), ("initech", "umbrella", "wide")
LAST = month_before(datetime.now(UTC))
_POSITION = re.compile(r"usage of partition (?P<partition>\d+) is complete up to (?P<entry>\d+-\d+)")
_BEYOND = re.compile(r"it is there up to (?P<entry>\d+-\d+) in partition (?P<partition>\d+)")


def sections(directory: Path) -> dict[str, Any]:
    return {
        "tenant": {"enabled": True},
        "blobs": {"url": str(directory / "blobs")},
        "streams": {"archive_types": [KIND], "archive_seconds": 0.3},
        "redis": {"retry_attempts": 0},
        "state": {"session_memory_bytes": 20_000},
    }


def totals(deployment: Deployment, tenants: tuple[str, ...]) -> tuple[Totals, Totals]:
    """What the months say, and what the hours say."""
    sums = counted(deployment.client, deployment.keys, tenants)
    months, hours = Counter[Any](), Counter[Any]()
    for (tenant, period, _, operation, metric), amount in sums.items():
        (hours if "T" in period else months)[tenant, operation, metric] += amount
    return months, hours


def have_invoices(rt: RipTide, deployment: Deployment) -> None:
    """Last month's usage, counted by workers, and billed."""
    at = round((LAST - timedelta(days=1)).timestamp() * 1000)
    for tenant in BILLED:
        had = json.dumps([(round(month_before(LAST).timestamp() * 1000), "free")])
        deployment.client.hset(deployment.keys.record(tenant), "plans", had)
        for n in range(5):
            body = f'{{"operation":"render","operation_count":{n + 1},"data_bytes":7,"at":{at}}}'
            deployment.add(KIND, {"tenant": tenant, "body": body})
    eventually(lambda: deployment.at_rest(KIND), "last month to be counted")
    for tenant in BILLED:
        assert rt.billing.close(tenant, f"{LAST:%Y-%m}").usage["operations"] == 15


def facts(rt: RipTide) -> dict[str, Any]:
    """What does not change any more before the checkpoint is begun."""
    return {
        tenant: (rt.tenants.show(tenant), rt.billing.invoices(tenant), rt.tenants.audit(tenant))
        for tenant in (*BILLED, *BUSY)
    }


def publish(rt: RipTide, into: str, number: int) -> None:
    for n in range(number):
        rt.publish(Effect(into=into), tenant="acme", key=f"{into} {n}")


def archived(settings: Any) -> frozenset[str]:
    """The tokens in the archive: whose answer was lost may be there."""
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    return frozenset(
        dict(zip(fields[::2], fields[1::2], strict=True))[b"id"].decode()
        for p in PARTITIONS
        for rows, _ in reading.pages(blobs, prefix, KIND, p)
        for _, fields in rows
        if b"id" in fields
    )


def positions(printed: str, what: re.Pattern[str] = _POSITION) -> Mapping[str, str]:
    found = {one["partition"]: one["entry"] for one in what.finditer(printed)}
    return dict.fromkeys(PARTITIONS, "0-0") | found


def archive_passes(settings: Any, usage: UsageClerk) -> None:
    """It holds all that was sent until now."""
    last: dict[str, tuple[int, ...]] = {}
    for one in list(usage.sent):
        last[one.partition] = max(last.get(one.partition, (0,)), _order(one.entry or "0-0"))
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix

    def reached(partition: str) -> tuple[int, ...]:
        return max((_order(one.last) for one in segments(blobs, prefix, KIND, partition)), default=(0,))

    eventually(
        lambda: all(reached(partition) >= entry for partition, entry in last.items()),
        "the archive to come so far",
    )


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "alone"])
def test_a_server_is_lost_under_load(
    private_server: Callable[..., ServerProcess],
    prefix: str,
    tmp_path: Path,
    rng: random.Random,
    archive: bool,
) -> None:
    server = private_server(aof=True, appendfsync="everysec")
    deployment, given = Deployment(server.url, prefix), sections(tmp_path)
    given["streams"]["archive"] = archive
    settings, cli = deployment.settings(**given), CommandLine(deployment, tmp_path, given)
    early, late = f"{prefix}-early", f"{prefix}-late"
    usage = UsageClerk(deployment, settings, BUSY, f"usage {rng.random()}")
    sessions = SessionClerk(settings, BUSY, f"sessions {rng.random()}")
    quotas = QuotaClerk(settings, BUSY, f"quotas {rng.random()}")
    workers = [WorkerProcess(deployment, tmp_path, commands=[KIND], **given).launch() for _ in range(2)]
    try:
        with riptide.connect(config=settings) as rt:
            for tenant in (*BILLED, *BUSY):
                rt.tenants.create(
                    tenant, shards=2 if tenant == "wide" else 1, quotas={"storage_bytes": 2**40}
                )
            rt.tenants.allow("acme", "pages:*", "read")
            rt.tenants.suspend("globex", "unpaid")
            have_invoices(rt, deployment)
            assert rt.quotas.check("acme", {"data_transfer_bytes": 12_345}).allowed
            publish(rt, early, 20)
            kept = facts(rt)
            with Crowd(usage, sessions, quotas) as crowd:
                crowd.go_on(100)
                begun = time.monotonic()
                made = cli.good("checkpoint", "create").strip()
                ended = time.monotonic()
                crowd.go_on(10)
                if archive:
                    archive_passes(settings, usage)
                publish(rt, late, 5)
                server.kill()
        crowd.check(lost_server=True)
    finally:
        for worker in workers:
            worker.kill()
    shutil.rmtree(server.directory)
    server.start()
    assert not deployment.client.dbsize()
    rehearsed = cli.good("checkpoint", "restore", made, "--dry-run")
    assert not deployment.client.dbsize()
    printed = cli.good("checkpoint", "restore", "newest")
    upto, beyond = positions(printed), positions(printed, _BEYOND)
    assert positions(rehearsed) == upto
    assert not (archive and any(one != "0-0" for one in beyond.values()))

    with riptide.connect(config=settings) as rt:
        assert facts(rt) == kept
        assert {one.id for one in rt.tenants.list().tenants} == {"default", *BILLED, *BUSY}
        assert rt.billing.close("acme", f"{LAST:%Y-%m}") == kept["acme"][1][0]
        assert taken(rt, "acme") == 12_345
        for tenant in BUSY:
            assert taken(rt, tenant) in {one or 0 for one in quotas.books[tenant].between(begun, ended)}
        expected = usage.totals(upto, archived(settings))
        found, same = totals(deployment, BUSY)
        assert found == same
        if archive:
            assert found == expected
            assert expected != usage.totals(rt.checkpoints.show(made).positions), "the archive came after it"
        else:
            most = usage.totals({p: max(upto[p], beyond[p], key=_order) for p in PARTITIONS})
            assert all(expected[one] <= found[one] <= most[one] for one in most)
        billed = by_month(counted(deployment.client, deployment.keys, BILLED))
        assert sum(n for (*_, metric), n in billed.items() if metric == "operations") == 30
        _whole_sessions(rt, sessions, begun, ended)

        # It goes on from there.
        before = len(usage.sent)
        with WorkerProcess(deployment, tmp_path, commands=[KIND, "effect"], **given):
            usage.send(50)
            eventually(lambda: deployment.at_rest(KIND, "effect"), "all to be done")
        assert len(deployment.done(early)) == 20
        assert not deployment.done(late), "that came after the checkpoint, and is not archived"
        now = found + _sum(usage, before)
        assert totals(deployment, BUSY) == (now, now)
        assert rt.checkpoints.restore(made).corrected == 0
    deployment.close()


def test_commands_of_an_archived_type_that_nobody_was_given(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """They come back, as those of other types do; a replay from the archive sends none of them once more."""
    given = sections(tmp_path) | {"streams": {"archive_types": ["effect"], "archive_seconds": 0.02}}
    settings = on_valkey.settings(**given)
    with riptide.connect(config=settings) as rt, archiving(settings):
        rt.tenants.create("acme")
        publish(rt, "x", 5)
        wait_archived(settings, "effect")
        made = rt.checkpoints.create()
        forget(on_valkey)
        assert rt.checkpoints.restore(made.id).commands == 5
        assert rt.checkpoints.restore(made.id).commands == 0
    cli = CommandLine(on_valkey, tmp_path, given)
    cli.good("replay", "--from", "archive", "--all", "--cursor", str(tmp_path / "cursor"))
    assert set(on_valkey.published_ids(["effect"]).values()) == {1}


def _sum(usage: UsageClerk, start: int) -> Totals:
    found: Totals = Counter()
    for one in usage.sent[start:]:
        found.update({(one.tenant, *what): amount for what, amount in one.amounts.items()})
    return found


def _whole_sessions(rt: RipTide, clerk: SessionClerk, begun: float, ended: float) -> None:
    """Each as it was at one moment of the checkpoint, and nobody else's."""
    for (tenant, session), history in clerk.books.items():
        found = rt.sessions.get(session, tenant=tenant)
        assert (found and found.data) in history.between(begun, ended)
    assert sum(1 for history in clerk.books.values() if history.between(begun, ended)[0]) >= 15
