"""Fixtures from tests/support, and a look at what is exported."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import riptide
from riptide.config import PerformanceSettings, Settings
from tests.support.deployment import Deployment
from tests.support.fixtures import deployment, on_valkey

__all__ = ["deployment", "on_valkey"]

Open = Callable[..., riptide.RipTide]


def settings_of(found: Deployment, performance: dict[str, Any] | None = None, **sections: Any) -> Settings:
    sections["tenant"] = {"enabled": True, "max_tenants": 100_000} | sections.get("tenant", {})
    made = found.settings(**sections)
    wanted = {"metrics_interval_seconds": 1} | (performance or {})
    return made.model_copy(update={"performance": PerformanceSettings(**wanted)})


@pytest.fixture
def open_rt() -> Iterator[Open]:
    """`open_rt(deployment, performance={…}, **sections)`: with multi-tenancy on, figures asked for each
    second."""
    with ExitStack() as stack:

        def open_one(found: Deployment, performance: dict[str, Any] | None = None, **sections: Any) -> Any:
            return stack.enter_context(riptide.connect(config=settings_of(found, performance, **sections)))

        yield open_one
