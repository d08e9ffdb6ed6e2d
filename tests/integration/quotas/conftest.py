"""Fixtures from tests/support, and quotas on real servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from riptide.reads.assembly import Parts, assemble
from riptide.reads.sync_cache import Cache
from riptide.reads.sync_quotas import QuotasFace
from riptide.reads.sync_tenants import Tenants
from riptide.store.sync import Store, open_store
from riptide.tenants.quotas.quotas import Quotas
from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey

__all__ = ["alone", "deployment", "on_valkey"]


@dataclass(frozen=True)
class Side:
    """A process's view: what it asks, and what its tenants are changed by."""

    quotas: QuotasFace
    tenants: Tenants
    cache: Cache
    store: Store
    parts: Parts


Open = Callable[..., Side]


@pytest.fixture
def open_side() -> Iterator[Open]:
    """`open_side(deployment, window_seconds=60, **sections)`: with multi-tenancy on."""
    with ExitStack() as stack:

        def open_one(deployment: Deployment, window_seconds: int = 60, **sections: Any) -> Side:
            sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
            settings = deployment.settings(**sections)
            parts = assemble(None, settings)
            store = open_store(settings)
            stack.callback(store.close)
            quotas = Quotas(parts.keys, settings, parts.known, parts.registry, window_seconds)
            cache = Cache(store, parts.keys, settings.cache, parts.known)
            stack.callback(cache.close)
            return Side(QuotasFace(store, quotas), Tenants(store, parts.registry), cache, store, parts)

        yield open_one


@pytest.fixture
def side(deployment: Deployment, open_side: Open) -> Side:
    """On each kind of server."""
    return open_side(deployment)


@pytest.fixture
def on_one(on_valkey: Deployment, open_side: Open) -> Side:
    """Where the kind of server makes no difference."""
    return open_side(on_valkey)
