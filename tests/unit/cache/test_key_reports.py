"""Reports of keys, step by step: when they are sent, and what becomes of what could not be."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from riptide.cache.core import Core
from riptide.cache.popularity.demand import MOST_KEYS
from riptide.cache.popularity.reports import KEYS_SECONDS, KeyReports
from riptide.config import CacheSettings
from riptide.errors import BacklogFull, PublishUnknown, RiptideError
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.streams.attempt import Attempt
from riptide.streams.publishing import Outgoing
from tests.support.anybody import Anybody, found


class MovedClock:
    seconds = 0.0

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.seconds


class Publisher:
    max_body_bytes = 2**20

    def __init__(self) -> None:
        self.fails: list[RiptideError | None] = []
        self.reads: Counter[tuple[str | None, str, str]] = Counter()
        self.calls = 0

    def publish_many(self, batch: Iterable[Outgoing]) -> Flow[list[Any]]:
        yield from ()
        self.calls += 1
        if self.fails and (error := self.fails.pop(0)):
            raise error
        for outgoing in batch:
            command: Any = outgoing.command
            for key, number in command.keys.items():
                self.reads[outgoing.tenant, command.namespace, key] += number
        return []


class Side:
    def __init__(self) -> None:
        self.clock, self.publisher = MovedClock(), Publisher()
        self.core = Core(Keys(), CacheSettings(), Anybody(Keys()), self.clock)
        self.core.counts_keys = True
        self.reports = KeyReports(self.core, self.publisher)  # type: ignore[arg-type]
        self.record: bytes | None = None

    def read(self, key: str, tenant: str = "acme", namespace: str = "pages") -> None:
        demand = found(self.core, tenant, namespace).demand
        assert demand is not None
        demand.reads[key] += 1

    def send(self, *, last: bool = False) -> int:
        flow, answer = self.reports.send(last=last), None
        try:
            while True:
                step: Any = flow.send(answer)
                answer = [one.parse(self.record) for one in step.operations]
        except StopIteration as end:
            sent: int = end.value
            return sent


def test_they_are_sent_every_minute_and_at_the_end() -> None:
    side = Side()
    side.read("a")
    assert side.send() == 0
    side.clock.seconds += KEYS_SECONDS
    assert side.send() == 1
    assert side.send() == 0, "there is nothing to tell"
    side.read("a")
    side.read("a", "globex")
    side.read("a", namespace="prices")
    assert side.send(last=True) == 3
    assert side.publisher.reads == {
        ("acme", "pages", "a"): 2,
        ("globex", "pages", "a"): 1,
        ("acme", "prices", "a"): 1,
    }
    assert side.core.room.left == MOST_KEYS


def test_they_are_sent_sooner_where_room_gets_scarce() -> None:
    side = Side()
    side.read("a")
    side.core.room.left = MOST_KEYS // 4
    assert side.send() == 1


def test_what_could_not_be_published_goes_with_the_next() -> None:
    side = Side()
    for number in range(5000):
        for _ in range(1 + number % 3):
            side.read(str(number))
    side.publisher.fails = [None, BacklogFull("full")]
    with pytest.raises(BacklogFull):
        side.send(last=True)
    assert 0 < len(side.publisher.reads) < 5000
    side.send(last=True)
    assert {int(key): count for (*_, key), count in side.publisher.reads.items()} == {
        number: 1 + number % 3 for number in range(5000)
    }


def test_what_may_have_been_published_is_not_told_again() -> None:
    side = Side()
    side.read("a")
    side.publisher.fails = [PublishUnknown("lost", Attempt([], []))]
    with pytest.raises(PublishUnknown):
        side.send(last=True)
    assert side.send(last=True) == 0


def test_nothing_is_said_of_a_tenant_that_is_another_by_now() -> None:
    side = Side()
    side.read("a")
    side.record = b"0123456789abcdef"
    side.send(last=True)
    side.record = None
    assert side.send(last=True) == side.publisher.calls == 0


def test_a_forked_child_tells_nothing_of_its_parent_s() -> None:
    side = Side()
    side.read("a")
    side.core.leave_to_parent()
    side.read("b")
    side.send(last=True)
    assert set(side.publisher.reads) == {("acme", "pages", "b")}
