"""Access on real servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

import riptide
from riptide.api.access.access import SyncAccess
from riptide.config.models.surface import ApiSettings
from riptide.reads.sync_client import RipTide
from riptide.tenants.registry.audit import AuditRecord
from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey

__all__ = ["alone", "deployment", "on_valkey"]

CLIENT = "203.0.113.9"


@dataclass(frozen=True)
class Place:
    """One process of a deployment."""

    rt: RipTide
    access: SyncAccess

    def told(self, tenant: str | None = None, **wanted: Any) -> list[AuditRecord]:
        """Records of the audit trail, the oldest first."""
        return self.rt.tenants.audit(tenant, **wanted).records[::-1]


Open = Callable[..., Place]


@pytest.fixture
def open_place() -> Iterator[Open]:
    """`open_place(deployment, **sections)`: a process of its own, with multi-tenancy on."""
    with ExitStack() as stack:

        def open_one(deployment: Deployment, api: dict[str, Any] | None = None, **sections: Any) -> Place:
            sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
            settings = deployment.settings(**sections)
            if api is not None:
                settings = settings.model_copy(update={"api": ApiSettings(**api)})
            rt = stack.enter_context(riptide.connect(config=settings))
            return Place(rt, SyncAccess(rt))

        yield open_one


@pytest.fixture
def place(deployment: Deployment, open_place: Open) -> Place:
    """On each kind of server."""
    return open_place(deployment)


@pytest.fixture
def on_one(on_valkey: Deployment, open_place: Open) -> Place:
    """Where the kind of server makes no difference."""
    return open_place(on_valkey)
