"""What the server is asked for: right, shared by all processes, bounded, and never in the way."""

import os
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

import riptide
from riptide.config import RedisUrl
from riptide.errors import ConfigError
from riptide.store.keys import partition_of
from tests.integration.metrics.conftest import Open, settings_of
from tests.servers import ServerProcess
from tests.support.deployment import Deployment
from tests.support.scrape import Scrape
from tests.support.usage import amid_an_hour
from tests.support.waiting import eventually


def scrape(rt: riptide.RipTide) -> Scrape:
    return Scrape(rt.metrics.render().decode())


def until(rt: riptide.RipTide, sample: str, wanted: float, **labels: str) -> Scrape:
    def there() -> list[Scrape]:
        found = scrape(rt)
        return [found] if found.value(sample, labels) == pytest.approx(wanted) else []

    return eventually(there, f"{sample}{labels} to be {wanted}")[0]


def test_tenants_streams_and_sessions(deployment: Deployment, open_rt: Open) -> None:
    """On each kind of server."""
    amid_an_hour()  # and so a month
    rt = open_rt(deployment, {"target_cache_access_ms": 7})
    rt.tenants.create("acme", plan="basic", quotas={"memory_bytes": 10_000, "active_sessions": 4})
    rt.tenants.create("wide", shards=16, quotas={"cache_entries": 100})
    rt.cache.set("page", b"x" * 4000, tenant="acme")
    for number in range(10):
        rt.cache.set(f"page{number}", b"x", tenant="wide")
    rt.sessions.create("u", tenant="acme")
    rt.quotas.check("acme", {"operations_per_minute": 100, "data_transfer_bytes": 7})
    rt.publish(riptide.Warm(keys=["a"]), tenant="acme")
    deployment.client.xadd(deployment.keys.dead("warm", "10"), {"a": "b"})
    found = until(rt, "riptide_stream_dead_total", 1, type="warm")
    assert found.value("riptide_server_up") == 1
    assert found.value("riptide_cache_access_target_seconds") == 0.007
    assert found.value("riptide_stream_lag", type="warm") == 1
    assert found.value("riptide_stream_oldest_seconds", type="warm") >= 0  # type: ignore[operator]
    shown = {quota.resource: quota.standing for quota in rt.quotas.show("acme")}
    for resource, standing in shown.items():
        share = None if standing.limit == -1 else standing.used / standing.limit
        told = found.value("riptide_tenant_quota_usage", tenant="acme", resource=resource)
        assert told == (share if share is None else pytest.approx(share, abs=1e-3)), resource
    assert found.value("riptide_tenant_quota_usage", tenant="wide", resource="cache_entries") == 0.1
    assert found.value("riptide_tenant_active_sessions", tenant="acme") == 1
    assert found.value("riptide_session_active_total") == 1
    memory = sum(rt.cache.statistics(name).memory_usage_bytes for name in ("acme", "wide"))
    assert found.value("riptide_cache_memory_usage_bytes") == memory
    assert found.value("riptide_tenant_billing_units", tenant="acme") == pytest.approx(
        rt.billing.estimate("acme").total_micros / 1e6, abs=0.01
    )


def test_hit_rate_and_usage_as_workers_have_counted_them(on_valkey: Deployment, open_rt: Open) -> None:
    """What the handlers leave behind, put there by hand."""
    amid_an_hour()
    rt = open_rt(on_valkey)
    rt.tenants.create("acme")
    keys, client, partition = on_valkey.keys, on_valkey.client, partition_of("acme")
    minute = int(on_valkey.server_seconds()) // 60
    row = f"{minute} 30 10 0 0 0 0 0 0"
    client.hset(keys.access(partition, "acme"), mapping={str(minute % 60): row, str((minute - 9) % 60): row})
    month = time.strftime("%Y-%m", time.gmtime(on_valkey.server_seconds()))
    sums = {"0|render|operations": 12, "0|render|data_bytes": 3456}
    client.hset(keys.usage(partition, "acme", month), mapping=sums)
    found = until(rt, "riptide_tenant_operations_total", 12, tenant="acme")
    assert found.value("riptide_tenant_data_transfer_bytes", tenant="acme") == 3456
    assert found.value("riptide_cache_hit_rate") == 0.75


def test_one_asks_for_all(on_valkey: Deployment, open_rt: Open) -> None:
    """The second reads what the first has asked for, until it is out of date."""
    hour = {"metrics_interval_seconds": 3600}
    first, second = open_rt(on_valkey, hour), open_rt(on_valkey, hour)
    until(first, "riptide_session_active_total", 0)
    asked = on_valkey.client.get(on_valkey.keys.control("metrics"))
    changed = asked.replace(b'"sessions":0,"hit', b'"sessions":77,"hit')
    on_valkey.client.set(on_valkey.keys.control("metrics"), changed)
    until(second, "riptide_session_active_total", 77)
    on_valkey.client.set(on_valkey.keys.control("metrics"), b'{"of": "another release"}')
    third = open_rt(on_valkey, hour)
    until(third, "riptide_session_active_total", 0)


def test_as_many_lines_however_many_tenants(on_valkey: Deployment, open_rt: Open) -> None:
    """The largest, and those that are near a limit."""
    rt = open_rt(on_valkey, {"metrics_tenants": 5})
    for number in range(60):
        rt.tenants.create(f"t{number:02}", quotas={"active_sessions": 1 if number == 33 else 100})
    for number in range(50, 54):
        rt.cache.set("page", os.urandom(5000), tenant=f"t{number}")
    rt.sessions.create("u", tenant="t33")
    found = until(rt, "riptide_tenant_quota_usage", 1, tenant="t33", resource="active_sessions")
    named = found.labels("riptide_tenant_memory_usage_bytes", "tenant")
    assert named >= {"t33", *(f"t{number}" for number in range(50, 54))}
    assert len(named) == 6
    assert found.labels("riptide_tenant_operations_total", "tenant") == named - {"t33"}


def test_without_a_server(private_server: Callable[..., ServerProcess], prefix: str) -> None:
    """It tells what it had, and that the server is away; then goes on."""
    server = private_server(aof=True)
    deployment = Deployment(server.url, prefix)
    settings = settings_of(deployment, redis={"retry_attempts": 0, "connection_timeout_ms": 500})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        until(rt, "riptide_tenant_memory_usage_bytes", 0, tenant="acme")
        server.kill()
        found = until(rt, "riptide_server_up", 0)
        assert found.value("riptide_tenant_memory_usage_bytes", tenant="acme") == 0
        with suppress(riptide.RiptideError):
            rt.cache.get("page", tenant="acme")
        assert scrape(rt).value("riptide_cache_errors_total") >= 1  # type: ignore[operator]
        server.start()
        until(rt, "riptide_server_up", 1)
    deployment.close()


def test_a_server_that_was_never_there() -> None:
    settings = riptide.Settings.model_validate(
        {"redis": {"url": RedisUrl("redis://127.0.0.1:1/0"), "retry_attempts": 0}}
    )
    with riptide.connect(config=settings) as rt:
        found = scrape(rt)
    assert found.value("riptide_server_up") == 0
    assert found.value("riptide_figures_age_seconds") is None


def test_switched_off(on_valkey: Deployment, open_rt: Open) -> None:
    rt = open_rt(on_valkey, {"enable_metrics": False, "metrics_port": 0})
    assert rt.metrics.render() == b""
    with pytest.raises(ConfigError, match="enable_metrics is on"):
        rt.metrics.serve()
    on = open_rt(on_valkey)
    with pytest.raises(ConfigError, match="metrics_port names one"):
        on.metrics.serve()
    assert not on.metrics.running
