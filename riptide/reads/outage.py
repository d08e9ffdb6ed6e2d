"""Without a server: what is switched off says so, and an outage is told once."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from riptide.config import Settings
from riptide.errors import PersistenceOff, ServerUnavailable
from riptide.logger import get_logger

P = ParamSpec("P")
T = TypeVar("T")


def dropped(value: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate what writes: it answers `value` where persistence is switched off."""

    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return method(*args, **kwargs)
            except PersistenceOff:
                return value

        return call

    return decorate


def adropped(
    value: T,
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """The same for what is awaited."""

    def decorate(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(method)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await method(*args, **kwargs)
            except PersistenceOff:
                return value

        return call

    return decorate


def in_use(settings: Settings) -> bool:
    """Whether the service's own calls go through RipTide."""
    return settings.enable_persistence and settings.use_persistence_layer


def say_what_is_off(settings: Settings) -> None:
    """Log, once for each connection, that a service does without."""
    log = get_logger("riptide.config")
    if not settings.enable_persistence:
        log.warning("persistence is switched off: the service runs without it", setting="enable_persistence")
    elif not settings.use_persistence_layer:
        log.warning("the service's own calls take their old path", setting="use_persistence_layer")


class Complaints:
    """What has been told: work that fails because the server cannot be reached is told of once, until it
    succeeds again."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self, event: str, error: Exception) -> bool:
        """Whether it is to be told."""
        if not isinstance(error, ServerUnavailable):
            return True
        told = event in self._told
        self._told.add(event)
        return not told

    def over(self, event: str) -> None:
        self._told.discard(event)
