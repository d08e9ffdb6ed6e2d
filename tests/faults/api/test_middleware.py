"""A real service behind the middleware, under load: usage equals what the app completed, to the unit."""

import asyncio
import itertools
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

import riptide
from riptide.config import ApiSettings, Settings
from tests.servers import ServerProcess
from tests.support.deployment import Deployment
from tests.support.service import Client, Service
from tests.support.usage import KIND, amid_an_hour, by_month, counted, counting_worker
from tests.support.waiting import aeventually

TENANTS = [f"tenant-{number}" for number in range(100)]
QUICK: dict[str, Any] = {"usage_flush_seconds": 0.1}
#: A server that is dead refuses at once. One that is slow is waited for: who cannot ask it lets all pass.
ONCE: dict[str, Any] = {"retry_attempts": 0, "command_timeout_ms": 30_000, "connection_timeout_ms": 30_000}
CLIENTS = 16
LIMITED = "limited"


WRK = """
local turn = 0
request = function()
  turn = turn + 1
  return wrk.format("GET", "/page", {["X-Tenant-ID"] = "tenant-" .. turn % 100})
end
"""


def run_wrk(port: int, seconds: float, directory: Path) -> None:
    """It breaks off what is under way at its end."""
    (directory / "turns.lua").write_text(WRK)
    wrk = shutil.which("wrk")
    assert wrk, "--wrk-seconds needs wrk"
    command = [wrk, "-t2", "-c64", f"-d{seconds:.0f}s", "-s", str(directory / "turns.lua")]
    run = subprocess.run([*command, f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True)
    assert "Non-2xx" not in run.stdout
    sys.stdout.write(run.stdout)


class Load:
    """Clients that ask for pages, each of one tenant after another, until `enough`."""

    def __init__(self, port: int, tenants: Sequence[str] = TENANTS) -> None:
        self._port = port
        self.statuses: Counter[int] = Counter()
        self.served: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.enough = asyncio.Event()
        self._turns = itertools.cycle(tenants)

    async def run(self, clients: int = CLIENTS) -> None:
        ends = await asyncio.gather(*(self._one() for _ in range(clients)), return_exceptions=True)
        for error in filter(None, ends):
            raise error

    async def _one(self) -> None:
        async with Client(self._port) as client:
            while not self.enough.is_set():
                tenant = next(self._turns)
                status, size = await client.get(tenant)
                self.statuses[status] += 1
                if status == 200:
                    self.served[tenant] += 1
                    self.bytes[tenant] += size

    async def until(self, number: int) -> None:
        async def reached() -> bool:
            return self.statuses.total() >= number

        await aeventually(reached, f"{number} answers")


def make_tenants(deployment: Deployment) -> Settings:
    """What the middleware and usage ask of a tenant: a record."""
    limits = dict.fromkeys(TENANTS, -1) | {LIMITED: 50}
    for tenant, limit in limits.items():
        record = {"incarnation": "0" * 16, "status": "active", "limit:operations_per_minute": limit}
        deployment.client.hset(deployment.keys.record(tenant), mapping=record)
    return deployment.settings(tenant={"enabled": True})


async def drained(deployment: Deployment, settings: Settings) -> tuple[Counter[str], Counter[str]]:
    """Operations and bytes by tenant, as workers have counted them."""
    async with counting_worker(settings):

        async def at_rest() -> bool:
            return await asyncio.to_thread(deployment.at_rest, KIND)

        await aeventually(at_rest, "all records to be counted")
    sums = by_month(counted(deployment.client, deployment.keys, [*TENANTS, LIMITED]))
    operations: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    for (tenant, _, _, operation, metric), amount in sums.items():
        assert operation == "page.render"
        if metric == "operations":
            operations[tenant] += amount
        elif metric == "data_bytes":
            sent[tenant] += amount
    return operations, sent


@pytest.mark.faults
@pytest.mark.parametrize("leases", [False, True])
async def test_usage_equals_what_the_app_completed(
    private_server: Callable[..., ServerProcess],
    prefix: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    *,
    leases: bool,
) -> None:
    server = private_server(aof=True)
    deployment = Deployment(server.url, prefix)
    settings = make_tenants(deployment)
    with Service(deployment, tmp_path, leases=leases, api=QUICK, redis=ONCE) as service:
        limited = Counter(await asyncio.gather(*[_status(service.port, LIMITED) for _ in range(80)]))
        assert limited.total() == limited[200] + limited[429] == 80
        # What a lease does not spend within a second is lost.
        assert 0 < limited[200] <= 50 if leases else limited[200] == 50
        load = Load(service.port)
        running = asyncio.ensure_future(load.run())
        await load.until(500)
        await asyncio.to_thread(server.kill)
        before = load.statuses.total()
        await load.until(before + 200)
        await asyncio.to_thread(server.start)
        await load.until(before + 500)
        load.enough.set()
        await running
        assert set(load.statuses) == {200}, "the policy lets all pass"
        if wrk_seconds := request.config.getoption("--wrk-seconds"):
            await asyncio.to_thread(run_wrk, service.port, wrk_seconds, tmp_path)
        assert await asyncio.to_thread(service.stop) == -signal.SIGTERM, "uvicorn ends by it, in order"
        assert "usage_lost" not in service.log
        told = service.ledger()
    operations, sent = await drained(deployment, settings)
    assert operations == told["responses"]
    assert sent == {tenant: number for tenant, number in told["bytes"].items() if number}
    if not wrk_seconds:  # the clients say the same
        assert operations == {**load.served, LIMITED: limited[200]}
        assert all(load.bytes[tenant] == sent[tenant] for tenant in TENANTS)
    deployment.close()


async def _status(port: int, tenant: str) -> int:
    async with Client(port) as client:
        status, _ = await client.get(tenant)
    return status


@pytest.mark.faults
async def test_a_killed_service_loses_one_interval_at_most(on_valkey: Deployment, tmp_path: Path) -> None:
    """Of one tenant a flush is one record, at the turn of an hour two: how many there are says how often it
    was flushed."""
    settings = make_tenants(on_valkey)
    with Service(on_valkey, tmp_path, api={"usage_flush_seconds": 0.2}) as service:
        load, seen = Load(service.port, TENANTS[:1]), {0: 0}
        running = asyncio.ensure_future(load.run())

        async def told() -> int:
            """What was complete while a flush was still to come is told by it, or by the next if it had
            begun."""
            complete = load.statuses.total()
            seen[await asyncio.to_thread(lambda: len(on_valkey.entries(KIND)))] = complete
            return max((seen[number] for number in seen if number <= max(seen) - 3), default=0)

        least = await aeventually(told, "flushes of what is complete")
        await asyncio.to_thread(service.kill)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await running
    operations, _ = await drained(on_valkey, settings)
    assert least <= operations.total() <= load.statuses.total() + CLIENTS


def test_the_records_of_one_interval_are_few(on_valkey: Deployment) -> None:
    """Merged by tenant and operation, whatever the number of responses."""
    amid_an_hour()
    settings = on_valkey.settings(tenant={"enabled": True})
    settings = settings.model_copy(update={"api": ApiSettings(usage_flush_seconds=3600)})
    with riptide.connect(config=settings) as rt:
        for number in range(1000):
            rt.usage.note(TENANTS[number % 3], "page.render", data_bytes=1)
    bodies = [from_json(fields[b"body"]) for _, _, fields in on_valkey.entries(KIND)]
    assert sorted(body["operation_count"] for body in bodies) == [333, 333, 334]
