"""One tenant is restored by an operator on a living server: worker processes and clients go on, none of their
calls fails, and of all others nothing is touched."""

import random
from pathlib import Path

import pytest

import riptide
from riptide.reads.sync_client import RipTide
from tests.faults.state.test_loss import BUSY, sections, totals
from tests.support.books import Crowd, QuotaClerk, SessionClerk, UsageClerk, taken
from tests.support.cli import CommandLine
from tests.support.deployment import Deployment
from tests.support.usage import KIND
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MINE, *OTHERS = BUSY
ROUNDS = 2


def test_one_tenant_is_restored_under_load(alone: Deployment, tmp_path: Path, rng: random.Random) -> None:
    given = sections(tmp_path)
    settings, cli = alone.settings(**given), CommandLine(alone, tmp_path, given)
    usage = UsageClerk(alone, settings, BUSY, f"usage {rng.random()}")
    sessions = SessionClerk(settings, OTHERS, f"sessions {rng.random()}")
    quotas = QuotaClerk(settings, OTHERS, f"quotas {rng.random()}")
    workers = [WorkerProcess(alone, tmp_path, commands=[KIND], **given).launch() for _ in range(2)]
    try:
        with riptide.connect(config=settings) as rt:
            for tenant in BUSY:
                rt.tenants.create(tenant, quotas={"storage_bytes": 2**40, "active_sessions": -1})
            mine = [rt.sessions.create("ada", {"n": n, "x": "x" * 500}, tenant=MINE) for n in range(10)]
            assert rt.quotas.check(MINE, {"data_transfer_bytes": 999}).allowed
            before = rt.tenants.show(MINE)
            records = {tenant: alone.client.hgetall(alone.keys.record(tenant)) for tenant in OTHERS}
            with Crowd(usage, sessions, quotas) as crowd:
                crowd.go_on(50)
                made = cli.good("checkpoint", "create").strip()
                for _ in range(ROUNDS):
                    _lose(alone, rt)
                    crowd.go_on(20)
                    cli.good("checkpoint", "restore", made, "--tenant", MINE)
                    assert rt.tenants.show(MINE).settings == before.settings
                    assert rt.tenants.show(MINE).status == "active"
                    assert taken(rt, MINE) == 999
                    for one in mine:
                        found = rt.sessions.get(one.id, tenant=MINE)
                        assert found is not None
                        assert found.data == one.data
                    crowd.go_on(20)
            crowd.check()
            eventually(lambda: alone.at_rest(KIND), "all usage to be counted")
            assert totals(alone, BUSY) == (usage.totals(), usage.totals())
            sessions.check_now(rt)
            for tenant in OTHERS:
                assert taken(rt, tenant) == quotas.books[tenant].now
                assert alone.client.hgetall(alone.keys.record(tenant)) == records[tenant]
    finally:
        for worker in workers:
            worker.kill()


def _lose(deployment: Deployment, rt: RipTide) -> None:
    """All that one tenant has but its record, by which it is suspended."""
    rt.tenants.suspend(MINE, "by mistake")
    for name in list(deployment.client.scan_iter(f"{deployment.prefix}:*{MINE}*", count=1000)):
        if b":registry:" not in name:
            deployment.client.delete(name)
