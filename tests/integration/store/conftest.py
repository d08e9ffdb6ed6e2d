"""Stores under test."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from riptide.config import Settings
from riptide.store.aio import AsyncStore, open_async_store
from tests.integration.store.faces import Face
from tests.servers.sentinel import Sentinel


@pytest.fixture(params=["sync", "async"])
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[Settings], Face]]:
    """`opened(settings)` is a store; the test runs once with each face."""
    faces: list[Face] = []

    def make(settings: Settings) -> Face:
        faces.append(Face(request.param, settings))
        return faces[-1]

    yield make
    for face in faces:
        await face.close()


@pytest.fixture
async def open_async() -> AsyncIterator[Callable[[Settings], AsyncStore]]:
    """`open_async(settings)` is an asynchronous store."""
    stores: list[AsyncStore] = []

    def make(settings: Settings) -> AsyncStore:
        stores.append(open_async_store(settings))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
def sentinel(binary: Callable[[str], Path], tmp_path: Path) -> Iterator[Sentinel]:
    """A Sentinel of Debian's Redis with a primary and a replica."""
    started = Sentinel(binary("redis7"), tmp_path)
    try:
        yield started.start()
    finally:
        started.stop()
