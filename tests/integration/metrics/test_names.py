"""Every promised name is there, from services, workers and the API, with its type and its help."""

import re
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

import riptide
from riptide.api.access.caller import Caller
from riptide.metrics.catalog import CATALOG
from tests.integration.metrics.conftest import Open, settings_of
from tests.support.commands import Noop
from tests.support.deployment import Deployment
from tests.support.scrape import Scrape, fetch
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

ROOT = Path(__file__).parents[3]
#: As they are promised: name -> type.
PROMISED = {
    **{
        f"riptide_cache_{name}_total": "counter"
        for name in ("hits", "misses", "sets", "deletes", "errors", "evictions")
    },
    "riptide_cache_access_duration_seconds": "histogram",
    "riptide_cache_entry_size_bytes": "histogram",
    "riptide_cache_memory_usage_bytes": "gauge",
    "riptide_cache_compression_ratio": "gauge",
    "riptide_cache_hit_rate": "gauge",
    "riptide_cache_operations_total": "counter",
    "riptide_tenant_operations_total": "counter",
    "riptide_tenant_data_transfer_bytes": "gauge",
    "riptide_tenant_memory_usage_bytes": "gauge",
    "riptide_tenant_active_sessions": "gauge",
    "riptide_tenant_quota_usage": "gauge",
    "riptide_tenant_billing_units": "gauge",
    "riptide_session_active_total": "gauge",
    "riptide_spillover_operations_total": "counter",
    "riptide_config_reloads_total": "counter",
    "riptide_checkpoints_total": "counter",
    "riptide_checkpoint_duration_seconds": "histogram",
    "riptide_memory_pressure_events_total": "counter",
    "riptide_stream_lag": "gauge",
    "riptide_stream_pending": "gauge",
    "riptide_stream_oldest_seconds": "gauge",
    "riptide_stream_dead_total": "gauge",
    "riptide_command_duration_seconds": "histogram",
    "riptide_command_outcomes_total": "counter",
}


def check(scrape: Scrape) -> None:
    """All of the table are there, and nothing else."""
    found = scrape.families
    assert set(found) == set(CATALOG)
    for name, spec in CATALOG.items():
        assert (found[name].type, found[name].documentation) == (spec.kind, spec.meaning), name
        for sample in found[name].samples:
            assert set(sample.labels) - {"le"} == set(spec.labels), name


def test_the_table_has_what_is_promised() -> None:
    assert {name: spec.kind for name, spec in CATALOG.items() if name in PROMISED} == PROMISED
    assert CATALOG["riptide_cache_operations_total"].labels == ("operation", "result")


def test_the_docs_have_the_table() -> None:
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(riptide_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", text, re.MULTILINE)
    told = [(name, kind, re.findall(r"\w+", labels), meaning) for name, kind, labels, meaning in rows]
    assert told == [(one.name, one.kind, list(one.labels), one.meaning) for one in CATALOG.values()]


def test_from_a_service(on_valkey: Deployment, open_rt: Open) -> None:
    rt = open_rt(on_valkey)
    check(Scrape(rt.metrics.render().decode()))
    with rt.metrics.serve(port=0) as serving:
        check(fetch(serving.port))


async def test_from_the_api(on_valkey: Deployment) -> None:
    from riptide.api.endpoints.metrics import router

    class Access:
        async def identify(self, *_: Any) -> Caller:
            return Caller("1", "grafana", "viewer")

    app = FastAPI()
    app.include_router(router)
    async with await riptide.aconnect(config=settings_of(on_valkey)) as rt:
        app.state.riptide, app.state.access = rt, Access()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    check(Scrape(answer.text))


def test_from_a_worker(on_valkey: Deployment, open_rt: Open, tmp_path: Path) -> None:
    """It counts what it carries out. A port that is taken stops nobody."""
    log = re.compile(r"metrics are served\s+.*port=(\d+)")
    rt = open_rt(on_valkey)
    with WorkerProcess(
        on_valkey, tmp_path, performance={"metrics_port": 0, "metrics_interval_seconds": 1}
    ) as worker:
        found = eventually(lambda: log.findall(re.sub(r"\x1b\[[0-9;]*m", "", worker.log)), "the port")
        port = int(found[0])
        ref = rt.publish_many([riptide.Outgoing(Noop()) for _ in range(5)])[-1]
        rt.wait(ref, 60)

        def done() -> bool:
            return fetch(port).value("riptide_command_outcomes_total", type="noop", outcome="done") == 5

        eventually(done, "five commands to be counted")
        scrape = fetch(port)
        check(scrape)
        assert scrape.value("riptide_command_duration_seconds_count", type="noop") >= 1  # type: ignore[operator]
        eventually(lambda: fetch(port).value("riptide_server_up") == 1, "the server to be asked")
        with WorkerProcess(on_valkey, tmp_path, performance={"metrics_port": port}) as second:
            eventually(
                lambda: "metrics are not served" in second.log, "the second to say that the port is taken"
            )
