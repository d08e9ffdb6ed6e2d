"""Reports, step by step: whatever becomes of a publish, each count is told of once at most."""

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import pytest

from riptide.cache.access import tally as tallies
from riptide.cache.access.reports import REPORT_SECONDS, Reports, process_name
from riptide.cache.core import Core
from riptide.config import CacheSettings
from riptide.errors import BacklogFull, PublishUnknown, RiptideError, ServerUnavailable
from riptide.store.keys import Keys
from riptide.store.operation import Batch, Flow
from riptide.streams.attempt import Attempt
from riptide.streams.publishing import Outgoing
from tests.support.anybody import Anybody, found

LOST = PublishUnknown("lost", Attempt([], []))


class MovedClock:
    seconds = 0.0

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.seconds


class Publisher:
    """Accepts, or fails as it is told to; what it says LOST of has been accepted."""

    repeats_seconds = 100.0

    def __init__(self) -> None:
        self.fails: list[RiptideError | None] = []
        self.calls = 0
        self.hits: Counter[str | None] = Counter()
        self._lost: list[Outgoing] = []

    def publish_many(self, batch: Iterable[Outgoing]) -> Flow[list[Any]]:
        yield from ()
        self.calls += 1
        error = self.fails.pop(0) if self.fails else None
        if error is None or error is LOST:
            self._accept(batch)
        if error is not None:
            raise error
        return []

    def publish_again(self, unknown: PublishUnknown) -> Flow[list[Any]]:
        """The server knows it already."""
        yield from ()
        assert unknown is LOST
        self.calls += 1
        if error := self.fails.pop(0) if self.fails else None:
            raise error
        return []

    def _accept(self, batch: Iterable[Outgoing]) -> None:
        for outgoing in batch:
            command: Any = outgoing.command
            assert command.process == process_name()
            self.hits[outgoing.tenant] += command.hits


class Side:
    def __init__(self) -> None:
        self.clock, self.publisher = MovedClock(), Publisher()
        self.core = Core(Keys(), CacheSettings(), Anybody(Keys()), self.clock)
        self.reports = Reports(self.core, self.publisher)  # type: ignore[arg-type]
        self.records: dict[str, bytes] = {}

    def hit(self, tenant: str, times: int = 1) -> None:
        found(self.core, tenant).tally.hits += times

    def send(self) -> float:
        """Drive a report; each tenant has the record that `records` names, or none."""
        return self._driven(self.reports.send())

    def _driven(self, flow: Generator[Any, Any, float]) -> float:
        answer: Any = None
        try:
            while True:
                step = flow.send(answer)
                assert isinstance(step, Batch)
                answer = [one.parse(self.records.get(_tenant(one.args))) for one in step.operations]
        except StopIteration as end:
            value: float = end.value
            return value


def _tenant(args: Sequence[Any]) -> str:
    return str(args[1]).partition("{")[2].rstrip("}")


def test_a_report_tells_what_is_new() -> None:
    side = Side()
    assert side.send() == REPORT_SECONDS
    assert side.publisher.calls == 0, "nothing is said of nothing"
    for times in (3, 4):
        side.hit("acme", times)
        side.hit("default")
        side.send()
    assert side.publisher.hits == {"acme": 7, "default": 2}
    assert side.publisher.calls == 2


@pytest.mark.parametrize("error", [BacklogFull("full"), ServerUnavailable("gone", maybe_done=False)])
def test_what_was_not_published_goes_with_the_next(error: RiptideError) -> None:
    side = Side()
    side.publisher.fails = [error, error]
    for _ in range(3):
        assert not side.publisher.hits
        side.hit("acme")
        side.send()
        assert side.reports.failing == bool(not side.publisher.hits)
    assert side.publisher.hits == {"acme": 3}


def test_a_lost_answer_is_asked_for_before_anything_else_is_said() -> None:
    side = Side()
    side.publisher.fails = [LOST, LOST, None, None]
    for _ in range(3):
        side.hit("acme")
        side.send()
    assert side.publisher.hits == {"acme": 3}
    assert not side.reports.failing


def test_what_the_server_may_have_forgotten_is_not_repeated() -> None:
    side = Side()
    side.publisher.fails = [LOST]
    side.hit("acme")
    side.send()
    side.clock.seconds += side.publisher.repeats_seconds
    side.hit("acme")
    side.send()
    assert side.publisher.hits == {"acme": 2}
    assert side.publisher.calls == 2


def test_nothing_is_said_of_a_tenant_that_is_another_by_now() -> None:
    side = Side()
    side.hit("acme")
    side.hit("globex")
    side.records["acme"] = b"0123456789abcdef-purging"
    side.send()
    assert side.publisher.hits == {"globex": 1}
    del side.records["acme"]
    side.send()
    assert side.publisher.hits == {"globex": 1}, "not even later"


def test_many_tenants_take_their_time_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "_MOST_TENANTS", 600)
    side = Side()
    for number in range(700):
        side.hit(f"t{number}")
    assert side.send() > REPORT_SECONDS
    assert side.publisher.calls == 2
    assert len(side.publisher.hits) == 600
    for number in range(650, 700):
        side.hit(f"t{number}")
    side.send()
    assert len(side.publisher.hits) == 650
    assert side.core.tallies.total().hits == 750
