"""The server under a user who may only run what DragonflyDB documents."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import DRAGONFLY, Server, Servers


@pytest.fixture
def dragonfly(binary: Callable[[str], Path], servers: Servers) -> Server:
    binary(DRAGONFLY)
    return servers.get(DRAGONFLY)
