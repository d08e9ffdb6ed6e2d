"""For tests of your own commands, handlers and loaders: `pytest_plugins = ["riptide.testing"]`.

Fixtures: `riptide_worker` and, asynchronous, `riptide_aworker`, on an embedded server that lasts as long as
the session, each test under a prefix of its own. `@pytest.mark.riptide(workers={"modules": ["shop"]})`
changes settings. Without pytest, `inline_worker(settings)` and `inline_aworker(settings)` do the same.
"""

from riptide.testing.clock import MovableClock
from riptide.testing.fixtures import (
    pytest_configure,
    riptide_aworker,
    riptide_server,
    riptide_settings,
    riptide_worker,
)
from riptide.testing.inline import AsyncInlineWorker, inline_aworker
from riptide.testing.run import Run
from riptide.testing.sync import InlineWorker, inline_worker

__all__ = [
    "AsyncInlineWorker",
    "InlineWorker",
    "MovableClock",
    "Run",
    "inline_aworker",
    "inline_worker",
    "pytest_configure",
    "riptide_aworker",
    "riptide_server",
    "riptide_settings",
    "riptide_worker",
]
