"""Looks at streams, workers and counters while the story goes on."""

import contextlib
import threading
import time
from types import TracebackType
from typing import Self

import redis

from riptide import RiptideError
from riptide.streams.overview import StreamState, overview
from scripts.demo.deployment import Deployment
from scripts.demo.facts import Facts
from scripts.demo.story import KINDS

_LOOK_SECONDS = 0.5


class Sampler:
    """A thread that brings `facts` up to date twice a second."""

    def __init__(self, deployment: Deployment, facts: Facts) -> None:
        self._deployment, self._facts = deployment, facts
        self._before: dict[str, int] = {}
        self._at = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._end.is_set():
            self._look()
            self._end.wait(_LOOK_SECONDS)

    def _look(self) -> None:
        # Whether the server is there is the story's business, which says what has happened.
        with contextlib.suppress(RiptideError, redis.RedisError):
            rt, facts = self._deployment.rt, self._facts
            facts.streams = rt.store.drive(overview(self._deployment.keys, KINDS))
            facts.rates = self._rates(facts.streams)
            facts.members = self._deployment.members()
            facts.stats = rt.cache.stats()

    def _rates(self, states: list[StreamState]) -> dict[str, float]:
        now = time.monotonic()
        passed, self._at = now - self._at, now
        delivered = {state.kind: state.delivered for state in states if state.delivered is not None}
        before, self._before = self._before, delivered
        return {
            kind: max(0, count - before[kind]) / passed for kind, count in delivered.items() if kind in before
        }
