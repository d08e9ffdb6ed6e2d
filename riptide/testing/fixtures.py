"""The fixtures that `pytest_plugins = ["riptide.testing"]` brings."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from riptide.config import RedisSettings, RedisUrl, Settings, load
from riptide.store.embedded import EmbeddedServer
from riptide.testing.inline import AsyncInlineWorker, inline_aworker
from riptide.testing.sync import InlineWorker, inline_worker

async_fixture: Any = pytest.fixture
with contextlib.suppress(ImportError):  # in its strict mode pytest-asyncio wants its own
    from pytest_asyncio import fixture as async_fixture


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "riptide(**sections): settings of RipTide for a test, by section")


@pytest.fixture(scope="session")
def riptide_server() -> Iterator[str]:
    """The URL of an embedded server. Override it to test on one of your own."""
    directory = tempfile.mkdtemp(prefix="riptide-")  # short: a unix socket's path must be
    try:
        with EmbeddedServer(directory) as server:
            yield server.url
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def riptide_settings(riptide_server: str, request: pytest.FixtureRequest) -> Settings:
    """The configuration as a process would read it here, on the test's server, with a prefix of its own.

    `@pytest.mark.riptide(workers={"max_attempts": 2})` changes settings, by section; the nearest mark wins.
    """
    loaded = load().settings
    redis = RedisSettings(url=RedisUrl(riptide_server))
    # Nothing is warmed unasked: a test would see that beside what it publishes.
    update = {"key_prefix": f"t{secrets.token_hex(6)}", "enable_warming": False}
    cache = loaded.cache.model_copy(update=update)
    settings = loaded.model_copy(update={"redis": redis, "cache": cache})
    sections: dict[str, dict[str, Any]] = {}
    for mark in reversed(list(request.node.iter_markers("riptide"))):
        for name, given in mark.kwargs.items():
            sections.setdefault(name, {}).update(given)
    whole = {name: getattr(settings, name) for name in Settings.model_fields}
    for name, given in sections.items():
        section = whole.get(name)
        known = {} if section is None else {key: getattr(section, key) for key in type(section).model_fields}
        whole[name] = known | given
    return Settings.model_validate(whole)


@pytest.fixture
def riptide_worker(riptide_settings: Settings) -> Iterator[InlineWorker]:
    """An inline worker: publish by its `rt`, `drain()`, and move its `clock`."""
    with inline_worker(riptide_settings) as worker:
        yield worker


@async_fixture  # type: ignore[untyped-decorator]
async def riptide_aworker(riptide_settings: Settings) -> AsyncIterator[AsyncInlineWorker]:
    """The same for asynchronous tests: `await riptide_aworker.drain()`."""
    async with inline_aworker(riptide_settings) as worker:
        yield worker
