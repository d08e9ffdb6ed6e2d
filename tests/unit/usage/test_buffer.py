"""Usage that waits: merged, bounded, published once. No server: what is published is played."""

from collections.abc import Generator
from typing import Any

import pytest

from riptide.config import ApiSettings
from riptide.errors import InvalidInput, PublishUnknown, ServerUnavailable
from riptide.streams.attempt import Attempt
from riptide.streams.publishing import Outgoing
from riptide.tenants.usage.buffer import UsageBuffer

HOUR_MS = 3_600_000


class Clock:
    def __init__(self) -> None:
        self.ms = 500_000 * HOUR_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Publisher:
    """Raises `fault` once it is set; `again` is what was repeated."""

    repeats_seconds = 60.0

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.again: list[PublishUnknown] = []
        self.fault: Exception | None = None

    def publish_many(self, batch: list[Outgoing]) -> Generator[Any, Any, None]:
        yield None
        if self.fault is not None:
            raise self.fault
        self.sent += batch

    def publish_again(self, unknown: PublishUnknown) -> Generator[Any, Any, None]:
        yield None
        if self.fault is not None:
            raise self.fault
        self.again.append(unknown)

    def told(self) -> list[dict[str, Any]]:
        return [{"tenant": one.tenant, **one.command.model_dump(exclude_unset=True)} for one in self.sent]


class Stage:
    def __init__(self, most: int = 100) -> None:
        self.clock, self.publisher = Clock(), Publisher()
        settings: Any = ApiSettings(usage_max_waiting=most)
        publisher: Any = self.publisher
        self.buffer = UsageBuffer(settings, publisher, self.clock)

    def flush(self) -> None:
        for _ in self.buffer.flush():
            pass


def test_notes_are_merged_by_tenant_operation_and_hour() -> None:
    stage = Stage()
    for number in range(3):
        assert stage.buffer.note("acme", "page", 1, 100 + number, 0.4)
    stage.buffer.note("acme", "api/read", 0, 7, 0)
    stage.clock.ms += HOUR_MS
    stage.buffer.note("acme", "page", 1, 0, 0)
    assert stage.buffer.waiting == 3
    stage.flush()
    assert stage.publisher.told() == [
        {
            "tenant": "acme",
            "operation": "page",
            "at": 500_000 * HOUR_MS,
            "operation_count": 3,
            "data_bytes": 303,
        }
        | {"compute_ms": 1},
        {
            "tenant": "acme",
            "operation": "api/read",
            "at": 500_000 * HOUR_MS,
            "operation_count": 0,
            "data_bytes": 7,
        },
        {"tenant": "acme", "operation": "page", "at": None, "operation_count": 1},
    ]
    stage.flush()
    assert (len(stage.publisher.sent), stage.buffer.waiting) == (3, 0)


def test_an_amount_that_no_record_can_tell_is_split() -> None:
    stage = Stage()
    for _ in range(3):
        stage.buffer.note("acme", "page", 2**39, 2**40, 0)
    stage.flush()
    sums = [(one["operation_count"], one["data_bytes"]) for one in stage.publisher.told()]
    assert sums == [(2**40, 2**40), (2**39, 2**40), (0, 2**40)]


def test_it_is_bounded_and_says_so() -> None:
    stage = Stage(most=2)
    assert stage.buffer.note("acme", "one", 1, 0, 0)
    assert stage.buffer.note("acme", "two", 1, 0, 0)
    assert not stage.buffer.note("acme", "three", 1, 0, 0)
    assert stage.buffer.note("acme", "one", 1, 0, 0)
    stage.publisher.fault = ServerUnavailable("away", maybe_done=False)
    with pytest.raises(ServerUnavailable):
        stage.flush()
    assert not stage.buffer.note("acme", "three", 1, 0, 0)
    assert (stage.buffer.refused, stage.buffer.waiting) == (2, 2)
    stage.publisher.fault = None
    stage.flush()
    assert [one["operation_count"] for one in stage.publisher.told()] == [2, 1]
    assert stage.buffer.note("acme", "three", 1, 0, 0)


def test_what_may_have_been_published_is_repeated_and_never_sent_anew() -> None:
    stage = Stage()
    stage.buffer.note("acme", "page", 1, 0, 0)
    fault = stage.publisher.fault = PublishUnknown("lost", Attempt([], []))
    for _ in range(2):
        with pytest.raises(PublishUnknown):
            stage.flush()
        stage.buffer.note("acme", "page", 10, 0, 0)
    assert stage.buffer.waiting == 2
    stage.publisher.fault = None
    stage.flush()
    assert stage.publisher.again == [fault]
    assert [one["operation_count"] for one in stage.publisher.told()] == [20]
    assert (stage.buffer.waiting, stage.buffer.lost) == (0, 0)


def test_after_too_long_it_is_rather_lost_than_counted_twice() -> None:
    stage = Stage()
    stage.buffer.note("acme", "page", 1, 0, 0)
    stage.publisher.fault = PublishUnknown("lost", Attempt([], []))
    with pytest.raises(PublishUnknown):
        stage.flush()
    stage.clock.ms += 61_000
    stage.publisher.fault = None
    stage.flush()
    assert (stage.publisher.sent, stage.publisher.again, stage.buffer.lost) == ([], [], 1)


@pytest.mark.parametrize(
    "note",
    [
        ("Acme", "page", 1, 0, 0.0),
        ("acme", "no spaces", 1, 0, 0.0),
        ("acme", "page", -1, 0, 0.0),
        ("acme", "page", 1, 1.5, 0.0),
        ("acme", "page", 1, 0, float("nan")),
    ],
)
def test_what_could_never_be_published_is_refused_at_once(note: Any) -> None:
    stage = Stage()
    with pytest.raises(InvalidInput):
        stage.buffer.note(*note)
    assert stage.buffer.waiting == 0
