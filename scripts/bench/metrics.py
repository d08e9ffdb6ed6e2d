"""A scrape with 10,000 tenants beside one with 100: its size and its time, and what asking the server
takes."""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.table import Table

import riptide
from riptide.config import Settings
from riptide.reads.metrics.figures import Figures
from riptide.store.sync import open_store
from scripts.bench import harness

FEW, MANY = 100, 10_000
_SCRAPES = 20


def main() -> None:
    chosen = harness.options(__doc__, rounds=3)
    table = Table(
        "tenants", "bytes of a scrape", "ms of a scrape, p50", "ms to ask the server, median", "named"
    )
    sizes = []
    with harness.server(same_cpu=chosen.same_cpu) as url:
        for count in (FEW, MANY):
            row = measure(url, count, chosen.rounds)
            sizes.append(row[0])
            table.add_row(f"{count:,}", f"{row[0]:,}", f"{row[1]:.1f}", f"{row[2]:,.0f}", str(row[3]))
    harness.console.print(table)
    harness.console.print(f"size, {MANY:,} tenants to {FEW:,}: {sizes[1] / sizes[0]:.2f} (reach <= 2)")


def measure(url: str, count: int, rounds: int) -> tuple[int, float, float, int]:
    """Bytes and ms of a scrape, ms of asking, and how many tenants are named."""
    settings = wide(harness.settings(url, f"with{count}", tenants=True))
    with riptide.connect(config=settings) as rt:
        for number in range(count):
            tenant = f"tenant-{number:05}"
            rt.tenants.create(tenant, plan="basic")
            rt.cache.set("page", b"x" * (100 + number % 900), tenant=tenant)
        asking, store = rt.metrics._asking(), open_store(settings)  # noqa: SLF001
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            found: Figures = store.drive(asking.ask(int(time.time() * 1000), None, lambda: False))
            times.append(time.perf_counter() - started)
        store.close()
        while b"riptide_tenant_memory_usage_bytes{" not in (text := rt.metrics.render()):
            time.sleep(0.1)
        took = harness.p50_us(rt.metrics.render, _SCRAPES) / 1000
    return len(text), took, statistics.median(times) * 1000, len(found.tenants)


def wide(settings: Settings) -> Settings:
    tenant = settings.tenant.model_copy(update={"max_tenants": 10 * MANY})
    return settings.model_copy(update={"tenant": tenant})


if __name__ == "__main__":
    main()
