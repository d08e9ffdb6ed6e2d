"""Fixtures from tests/support, and the time."""

from datetime import datetime

import pytest

from tests.support.fixtures import deployment, on_valkey
from tests.support.usage import amid_an_hour

__all__ = ["deployment", "on_valkey"]


@pytest.fixture(autouse=True)
def now() -> datetime:
    """When the test begins; the hour lasts longer than it does."""
    return amid_an_hour()
