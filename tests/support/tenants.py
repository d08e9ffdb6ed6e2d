"""Tenants for tests that are not about them."""

from contextlib import suppress

import riptide
from riptide.config import Settings
from riptide.errors import TenantExists


def have_tenants(settings: Settings, *tenants: str) -> None:
    """Create those of them that are not there yet."""
    with riptide.connect(config=settings) as rt:
        for tenant in tenants:
            with suppress(TenantExists):
                rt.tenants.create(tenant)
