"""Fixtures from tests/support, and registries on real servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from riptide.reads.assembly import assemble
from riptide.reads.sync_tenants import Tenants
from riptide.store.sync import open_store
from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey

__all__ = ["alone", "deployment", "on_valkey"]

Open = Callable[..., Tenants]


@pytest.fixture
def open_tenants() -> Iterator[Open]:
    """`open_tenants(deployment, **sections)`: a registry with multi-tenancy on."""
    with ExitStack() as stack:

        def open_one(deployment: Deployment, **sections: Any) -> Tenants:
            sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
            settings = deployment.settings(**sections)
            store = open_store(settings)
            stack.callback(store.close)
            return Tenants(store, assemble(None, settings).registry)

        yield open_one


@pytest.fixture
def tenants(deployment: Deployment, open_tenants: Open) -> Tenants:
    """A registry on each kind of server."""
    return open_tenants(deployment)


@pytest.fixture
def on_one(on_valkey: Deployment, open_tenants: Open) -> Tenants:
    """A registry where the kind of server makes no difference."""
    return open_tenants(on_valkey)
