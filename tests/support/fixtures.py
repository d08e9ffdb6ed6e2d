"""Fixtures of tests that run commands; a folder's conftest.py imports those that it needs."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers import Server, ServerProcess
from tests.support.deployment import Deployment


@pytest.fixture
def deployment(server: Server, prefix: str) -> Iterator[Deployment]:
    """A deployment of its own on each kind of server."""
    found = Deployment(server.url, prefix, cluster=server.cluster, owner_url=server.owner_url)
    yield found
    found.close()


@pytest.fixture
def on_valkey(valkey: Server, prefix: str) -> Iterator[Deployment]:
    """A deployment on Valkey alone, where the kind of server makes no difference."""
    found = Deployment(valkey.url, prefix)
    yield found
    found.close()


@pytest.fixture
def alone(private_server: Callable[..., ServerProcess], prefix: str) -> Iterator[Deployment]:
    """A deployment on a server that nobody else uses."""
    deployment = Deployment(private_server(aof=False).url, prefix)
    yield deployment
    deployment.close()
