"""What is promised of an invalidation (docs/failure-behaviour.md), checked on histories.

Readers, warmers, a setter of tags and invalidators of every kind race on one key, each step of each of them
in an order that a seed decides. No leased load or server read that starts after an invalidation completed may
return what was there before it.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from riptide.cache import invalidation, loading, reading
from riptide.cache.buffer import WriteBuffer
from riptide.cache.core import Core
from riptide.cache.loading import Job
from riptide.cache.writing import options, touch
from riptide.config import CacheSettings
from riptide.store.keys import Keys
from riptide.store.operation import Batch, Call, Flow, Operation, Pause, ask
from riptide.store.sync import Store
from tests.support.anybody import Anybody, found

SEEDS = 40
STEPS = 250
KEY = "the key"


@dataclass
class History:
    """The origin holds a version that grows; `floor` is the least that a read starting now may return."""

    version: int = 0
    floor: int = 0
    reads: int = 0
    violations: list[str] = field(default_factory=list)

    def load(self) -> int:
        return self.version

    def check(self, what: str, floor: int, value: Any) -> None:
        if value is None:
            return
        self.reads += 1
        if value < floor:
            self.violations.append(f"{what} returned {value}, {floor} was due")


class Actors:
    """Endless doers of one thing each, one round trip per step."""

    def __init__(self, core: Core, rng: random.Random, history: History) -> None:
        self.core, self.rng, self.history = core, rng, history
        self.space = found(core, "acme", "pages")

    def _job(self) -> Job:
        tags = ["always", *self.rng.sample(["red", "blue", "green"], self.rng.randrange(3))]
        ttl, stale = self.rng.choice([(1000, 0), (1000, 1000), (0.001, 1000)])
        return Job(self.core, self.space, KEY, self.history.load, options(ttl=ttl, stale=stale, tags=tags))

    def reader(self) -> Flow[None]:
        while True:
            floor = self.history.floor
            shard, digest = self.space.place(KEY)
            pair = yield from ask(reading.read(shard, digest))
            value = yield from reading.settle(self.core, shard, digest, pair, None)
            self.history.check("a read", floor, value)

    def loader(self) -> Flow[None]:
        while True:
            floor = self.history.floor
            found = yield from loading.get_or_load(self._job())
            self.history.check("a leased load", floor, found.value)
            if found.refresh is not None:
                yield from found.refresh

    def warmer(self) -> Flow[None]:
        while True:
            yield from loading.warm(self._job(), refresh=self.rng.random() < 0.5)

    def setter_of_tags(self) -> Flow[None]:
        """Rewrites the entry with other tags, under a lease, and prolongs it."""
        while True:
            yield from loading.get_or_load(self._job(), refresh=True)
            yield from touch(self.core, self.space, KEY, 500)

    def invalidator(self) -> Flow[None]:
        buffer = WriteBuffer(CacheSettings(write_behind_max_entries=1))
        while True:
            self.history.version += 1
            due = self.history.version
            match self.rng.randrange(5):
                case 0:
                    yield from invalidation.by_keys_and_tags(self.core, self.space, buffer, [KEY], [])
                case 1 | 2:
                    yield from invalidation.by_keys_and_tags(self.core, self.space, buffer, [], ["always"])
                case 3:
                    yield from invalidation.namespace(self.core, self.space, buffer)
                case _:
                    yield from invalidation.tenant(self.core, self.space, buffer)
            self.history.floor = max(self.history.floor, due)
            for _ in range(self.rng.randrange(12)):
                yield Pause(0)

    def noise(self) -> Flow[None]:
        """Invalidates what the entry sometimes bears, which promises nothing."""
        while True:
            tags = [self.rng.choice(["red", "blue"])]
            yield from invalidation.by_keys_and_tags(
                self.core, self.space, WriteBuffer(CacheSettings(write_behind_max_entries=1)), [], tags
            )
            for _ in range(10):
                yield Pause(0)


def scheduled(store: Store, flows: list[Flow[None]], rng: random.Random) -> Iterator[None]:
    """Run one step of one flow at a time. The answer of a step reaches its flow when that is chosen again."""
    answers: list[Any] = [None] * len(flows)
    weights = [rng.choice([1, 1, 4]) for _ in flows]
    while True:
        at = rng.choices(range(len(flows)), weights)[0]
        answers[at] = _take(store, flows[at].send(answers[at]))
        yield


def _take(store: Store, step: Any) -> Any:
    match step:
        case Operation():
            return store.run(step)
        case Batch():
            return store.run_all(step.operations)
        case Call():
            return step.function()
    return None


def run_history(store: Store, prefix: str, seed: int, shards: int) -> History:
    rng, history = random.Random(seed), History()

    def actors() -> Actors:
        return Actors(
            Core(Keys(f"{prefix}{seed}"), CacheSettings(), Anybody(Keys(f"{prefix}{seed}"), shards)),
            rng,
            history,
        )

    kinds: list[Callable[[Actors], Flow[None]]] = [
        Actors.reader, Actors.reader, Actors.loader, Actors.loader, Actors.warmer, Actors.setter_of_tags,
        Actors.invalidator, Actors.invalidator, Actors.noise,
    ]  # fmt: skip
    steps = scheduled(store, [kind(actors()) for kind in kinds], rng)
    for _ in range(STEPS):
        next(steps)
    return history


@pytest.mark.parametrize("shards", [1, 4])
def test_no_stale_value_survives_an_invalidation(
    store: Store, prefix: str, rng: random.Random, shards: int
) -> None:
    reads = 0
    for _ in range(SEEDS):
        seed = rng.randrange(2**32)
        history = run_history(store, prefix, seed, shards)
        assert not history.violations, f"seed {seed}: {history.violations[:3]}"
        reads += history.reads
    assert reads > SEEDS, "histories in which nobody reads anything prove nothing"
