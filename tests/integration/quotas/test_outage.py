"""While the server cannot be reached: rates are open and the rest closed, unless configured otherwise."""

from collections.abc import Callable
from typing import Any

import pytest

from riptide.errors import ServerUnavailable
from tests.integration.quotas.conftest import Open, Side
from tests.servers import ServerProcess
from tests.support.deployment import Deployment

OPS, TRANSFER = "operations_per_minute", "data_transfer_bytes"
#: That nobody listens is told at once.
ONCE = {"retry_attempts": 0}


@pytest.fixture
def cut(private_server: Callable[..., ServerProcess], prefix: str, open_side: Open) -> Callable[..., Side]:
    """A view of a server that has died since."""

    def make(**tenant: Any) -> Side:
        server = private_server(aof=False)
        deployment = Deployment(server.url, prefix)
        side = open_side(deployment, tenant=tenant, redis=ONCE)
        side.tenants.create("acme", quotas={OPS: 5})
        assert side.quotas.check("acme", {OPS: 1, "cache_entries": 1})
        deployment.close()
        server.kill()
        return side

    return make


def test_rates_are_open_and_the_rest_is_closed(cut: Callable[..., Side]) -> None:
    side = cut()
    for _ in range(10):
        decision = side.quotas.check("acme", {OPS: 1})
        assert (decision.allowed, decision.degraded) == (True, True)
    for resource in (TRANSFER, "storage_bytes", "cache_entries"):
        decision = side.quotas.check("acme", {OPS: 1, resource: 1})
        assert (decision.allowed, decision.degraded, decision.violated) == (False, True, (resource,))
        with pytest.raises(ServerUnavailable, match=resource):
            decision.raise_if_refused()
    lease = side.quotas.lease("acme")
    assert all(lease.take().degraded for _ in range(1000))
    with pytest.raises(ServerUnavailable):
        side.quotas.show("acme")


def test_each_resource_is_as_configured(cut: Callable[..., Side]) -> None:
    side = cut(outage_policy={OPS: "closed", TRANSFER: "open"})
    assert side.quotas.check("acme", {TRANSFER: 1})
    assert side.quotas.check("acme", {TRANSFER: 1, OPS: 1}).violated == (OPS,)
    refused = side.quotas.lease("acme").take()
    assert (refused.allowed, refused.degraded) == (False, True)
