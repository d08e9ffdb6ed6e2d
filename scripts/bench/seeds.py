"""What the projects that RipTide grew out of promised, beside what is measured here.

Each line says whether the promise is beaten. Times are medians of single calls, unless it says mean, by one
client, on a real server with its append-only file on. On a machine that does other things as well they are
longer: what is not beaten there is that machine's, if a second run beats it. It takes about a minute.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.table import Table

import riptide
from scripts.bench import harness
from scripts.bench.seed import calls, living, many, packing
from scripts.bench.seed.rows import Row


def rows(url: str) -> Iterator[Row]:
    plain = harness.settings(url, "seeds", tenants=True)
    tenant = plain.tenant.model_copy(update={"max_tenants": 10_000})
    settings = plain.model_copy(
        update={
            "tenant": tenant,
            "redis": plain.redis.model_copy(update={"pool_size": 32}),
            "performance": plain.performance.model_copy(update={"enable_slow_log": False}),
        }
    )
    with riptide.connect(config=settings) as rt:
        yield from calls.measured(rt)
        yield from packing.measured()
        yield from many.hits(rt)
        yield from many.tenants(rt)
        yield from many.clients(rt, settings)
    with tempfile.TemporaryDirectory() as folder:
        yield from living.measured(harness.settings(url, "living"), Path(folder))


def shown(found: list[Row]) -> Table:
    table = Table(title="What the seeds promised, and what is measured here", title_justify="left")
    for heading in ("what", "promised", "measured", "unit", "", "how, or why not"):
        table.add_column(heading, justify="right" if heading in {"promised", "measured"} else "left")
    for row in found:
        verdict = "beaten" if row.beaten else "[red]not beaten[/red]"
        why = "" if row.beaten else busy()
        sign = "≥" if row.more else "≤"
        table.add_row(
            row.what,
            f"{sign} {row.promised:,g}",
            _number(row.measured),
            row.unit,
            verdict,
            "; ".join(filter(None, (row.note, why))),
        )
    return table


def busy() -> str:
    """Why single calls may have taken longer than they do."""
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    if load > cpus:
        return f"the machine is busy, load {load:.0f} on {cpus} CPUs: run it again alone"
    return "look at what else this machine does, and run it again"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--same-cpu", action="store_true", help="server and client on one CPU: the client's own cost"
    )
    asked = parser.parse_args()
    harness.console.stderr = asked.json  # what else is told
    with harness.server(same_cpu=asked.same_cpu) as url:
        found = []
        with harness.console.status("Measuring") as status:
            for row in rows(url):
                found.append(row)
                status.update(f"Measured: {row.what}")
    if asked.json:
        print(json.dumps([asdict(row) | {"beaten": row.beaten} for row in found], indent=2))
    else:
        harness.console.print(shown(found))


if __name__ == "__main__":
    main()
