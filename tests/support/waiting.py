"""Waiting for a condition instead of sleeping: it fails loudly when the condition never comes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: Far beyond what any condition needs; a safety net, not a threshold.
PATIENCE = 60.0
_LOOK_SECONDS = 0.01


def eventually(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """The first true value of `condition()`; AssertionError naming `what` if there is none."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}; last seen: {value!r}"
        time.sleep(_LOOK_SECONDS)
    return value


async def aeventually(condition: Callable[[], Awaitable[T]], what: str, patience: float = PATIENCE) -> T:
    """The same for a condition that is awaited."""
    deadline = time.monotonic() + patience
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}; last seen: {value!r}"
        await asyncio.sleep(_LOOK_SECONDS)
    return value
