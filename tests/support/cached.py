"""Processes that read and invalidate cache entries, and write down what they wrote and what they read."""

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from riptide.errors import RiptideError
from riptide.reads.sync_client import RipTide
from tests.support.crew import Place, recorded_client
from tests.support.history import Recorder, now

KEYS = ("a", "b", "c")
_SPACE: Any = {"tenant": "acme", "namespace": "pages"}


def keep_reading(place: Place, seed: int, seconds: float) -> None:
    """The life of a reader: leased loads and server reads of versions."""
    recorder, rng = Recorder(place.directory), random.Random(seed)
    with recorded_client(place) as rt:
        for _ in _until(seconds):
            key, since = rng.choice(KEYS), now()
            with suppress(RiptideError):
                version = _read(rt, rng, key, lambda key=key: _version(place, key))  # type: ignore[misc]
                if version is not None:
                    recorder.add("read", key=key, version=version, since=since)


def _read(rt: RipTide, rng: random.Random, key: str, load: Callable[[], int]) -> int | None:
    if rng.random() < 0.3:
        found = rt.cache.get(key, **_SPACE)
    else:
        refresh = rng.random() < 0.1
        found = rt.cache.get_or_load(key, load, refresh=refresh, ttl=60, tags=["all"], **_SPACE)
    return None if found is None else int(found)


def keep_invalidating(place: Place, seed: int, seconds: float) -> None:
    """The life of who changes the origin and invalidates what is cached of it, in every way there is."""
    recorder, rng = Recorder(place.directory), random.Random(seed)
    with recorded_client(place) as rt:
        ways: list[Callable[[str], object]] = [
            lambda key: rt.cache.invalidate(keys=[key], **_SPACE),
            lambda _: rt.cache.invalidate(tags=["all"], **_SPACE),
            lambda _: rt.cache.invalidate_namespace("pages", tenant="acme"),
            lambda _: rt.cache.clear(tenant="acme"),
        ]
        for number in _until(seconds):
            key, call = rng.choice(KEYS), f"{os.getpid()}.{number}"
            version = _version(place, key) + 1
            _write(place, key, version)
            recorder.add("written", key=key, version=version)
            recorder.add("invalidating", key=key, call=call)
            with suppress(RiptideError):
                rng.choice(ways)(key)
                recorder.add("invalidated", key=key, call=call)
            time.sleep(rng.uniform(0, 0.01))


def _until(seconds: float) -> Iterator[int]:
    deadline = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > deadline:
            return
        yield number


def _origin(place: Place, key: str) -> Path:
    return place.directory / f"origin-{key}"


def _version(place: Place, key: str) -> int:
    file = _origin(place, key)
    return int(file.read_text()) if file.exists() else 0


def _write(place: Place, key: str, version: int) -> None:
    """At once: a reader sees the old version or the new one."""
    fresh = place.directory / f"origin-{key}.new"
    fresh.write_text(str(version))
    fresh.replace(_origin(place, key))
