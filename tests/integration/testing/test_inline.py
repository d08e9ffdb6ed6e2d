"""riptide.testing: what is due runs when the test says so, by a clock that the test moves."""

from collections import Counter
from datetime import UTC, datetime

import pytest

import riptide
from riptide.config import Settings
from riptide.errors import InvalidInput, RiptideError
from riptide.testing import AsyncInlineWorker, InlineWorker, MovableClock, inline_worker
from tests.support.shop import Count, Reserve, Ship
from tests.support.tenants import have_tenants

pytestmark = pytest.mark.riptide(workers={"modules": ["tests.support.shop"], "max_attempts": 3})


@pytest.fixture(autouse=True)
def acme(riptide_settings: Settings) -> None:
    have_tenants(riptide_settings, "acme")


def states(runs: list[riptide.testing.Run]) -> list[tuple[str, int, str]]:
    return [(run.kind, run.attempt, run.state) for run in runs]


def test_a_command_and_what_it_leads_to(riptide_worker: InlineWorker) -> None:
    rt = riptide_worker.rt
    ref = rt.publish(Reserve(order="7"), tenant="acme")
    assert rt.status(ref).state == "queued", "nothing runs by itself"
    first, second = riptide_worker.drain()
    assert (first.kind, first.ref, first.state) == ("reserve", ref, "done")
    assert first.value == {"order": "7", "attempt": 1}
    assert (second.kind, second.state, second.value) == ("ship", "done", None)
    assert rt.cache.get("7", tenant="acme", namespace="orders") == {"shipped_with": 1}
    assert riptide_worker.drain() == []


async def test_the_same_asynchronously(riptide_aworker: AsyncInlineWorker) -> None:
    rt = riptide_aworker.rt
    ref = await rt.publish(Reserve(order="7"), tenant="acme")
    assert states(await riptide_aworker.drain()) == [("reserve", 1, "done"), ("ship", 1, "done")]
    assert (await rt.status(ref)).value == {"order": "7", "attempt": 1}
    assert await rt.cache.get("7", tenant="acme", namespace="orders") == {"shipped_with": 1}
    assert await riptide_aworker.run_until_idle() == []


def test_a_retry_waits_until_the_clock_has_been_moved(riptide_worker: InlineWorker) -> None:
    ref = riptide_worker.rt.publish(Reserve(order="7", days=("busy", "busy")), tenant="acme")
    (run,) = riptide_worker.drain()
    assert (run.state, run.delay, run.error) == ("retrying", 3600, "Retry: the shop is busy")
    assert riptide_worker.drain() == []
    riptide_worker.clock.move(3500)
    assert riptide_worker.drain() == [], "100 seconds are missing, less what has passed"
    riptide_worker.clock.move(100)
    assert states(riptide_worker.drain()) == [("reserve", 2, "retrying")]
    riptide_worker.clock.move(1800)
    assert riptide_worker.drain() == [], "the second delay counts from the moved clock"
    riptide_worker.clock.move(1800)
    assert states(riptide_worker.drain()) == [("reserve", 3, "done"), ("ship", 1, "done")]
    assert riptide_worker.rt.status(ref).state == "done"


def test_a_delayed_command_waits_too(riptide_worker: InlineWorker) -> None:
    clock = riptide_worker.clock
    clock.move(86400)  # delays count from the moved clock
    soon = riptide.Outgoing(Count(slot="a"), delay=600)
    at_a_time = riptide.Outgoing(
        Count(slot="b"), at=datetime.fromtimestamp(clock.now_ms() / 1000 + 1200, UTC)
    )
    riptide_worker.rt.publish_many([soon, at_a_time])
    assert riptide_worker.drain() == []
    clock.move(500)
    assert riptide_worker.drain() == []
    clock.move(100)
    assert [run.value for run in riptide_worker.drain()] == ["a"]
    (run,) = riptide_worker.run_until_idle()
    assert (run.value, run.attempt) == ("b", 1)


def test_until_idle_the_clock_moves_by_itself(riptide_worker: InlineWorker) -> None:
    rt, before = riptide_worker.rt, riptide_worker.clock.now_ms()
    good = rt.publish(Reserve(order="1", days=("busy", "fire")), tenant="acme")
    bad = rt.publish(Reserve(order="2", days=("fire", "fire", "fire")), tenant="acme")
    runs = riptide_worker.run_until_idle()
    ends = Counter((str(run.ref), run.state) for run in runs if run.kind == "reserve")
    assert ends == {
        (str(good), "retrying"): 2,
        (str(good), "done"): 1,
        (str(bad), "retrying"): 2,
        (str(bad), "dead"): 1,
    }
    assert rt.status(bad).error == "OSError: the shop is on fire (attempt 3 of 3)"
    assert riptide_worker.clock.now_ms() - before >= 3600_000


@pytest.mark.parametrize(
    ("day", "state", "error"),
    [
        ("closed", "dead", "Dead: the shop has closed"),
        ("holiday", "skipped", "Skip: nobody orders on a holiday"),
    ],
)
def test_other_ends(riptide_worker: InlineWorker, day: str, state: str, error: str) -> None:
    ref = riptide_worker.rt.publish(Reserve(order="1", days=(day,)), tenant="acme")
    (run,) = riptide_worker.drain()
    assert (run.state, run.error) == (state, error)
    assert riptide_worker.rt.status(ref).state == state


def test_batches_are_made_of_what_follows_each_other(riptide_worker: InlineWorker) -> None:
    rt = riptide_worker.rt
    rt.publish_many(riptide.Outgoing(Ship(order=f"{n}"), "acme") for n in range(13))
    assert states(riptide_worker.drain()) == [("ship", 1, "done")] * 13
    sizes = [rt.cache.get(f"{n}", tenant="acme", namespace="orders")["shipped_with"] for n in range(13)]
    assert sizes == [10] * 10 + [3] * 3


def test_more_than_one_read_brings(riptide_worker: InlineWorker) -> None:
    riptide_worker.rt.publish_many(riptide.Outgoing(Count()) for _ in range(250))
    assert len(riptide_worker.drain()) == 250


def test_loaders_and_commands_of_riptide_itself(riptide_worker: InlineWorker) -> None:
    rt, here = riptide_worker.rt, {"tenant": "acme", "namespace": "prices"}
    rt.publish(riptide.Warm(namespace="prices", keys=("tea",), loader="price"), tenant="acme")
    rt.publish(riptide.Warm(namespace="prices", keys=("milk",), loader="shout"), tenant="acme")
    assert [run.state for run in riptide_worker.drain()] == ["done", "done"]
    assert rt.cache.get("tea", **here) == {"price_of": "tea", "for": "acme"}
    assert rt.cache.get("milk", **here) == "MILK"
    rt.publish(riptide.Invalidate(namespace="prices"), tenant="acme")
    riptide_worker.drain()
    assert rt.cache.get("tea", **here) is None


@pytest.mark.riptide(
    schedule={
        "entries": {"stock": {"cron": "0 6 * * *", "command": "count_stock", "body": {"slot": "{slot}"}}}
    }
)
def test_schedules_are_due_by_the_moved_clock(riptide_worker: InlineWorker) -> None:
    clock = riptide_worker.clock
    year = datetime.now(UTC).year + 1
    clock.move_to(datetime(year, 3, 1, 12, tzinfo=UTC))
    assert riptide_worker.drain() == [], "what came before an entry was first seen is not made up for"
    clock.move_to(datetime(year, 3, 2, 5, 59, tzinfo=UTC))
    assert riptide_worker.drain() == []
    clock.move(60)
    (run,) = riptide_worker.drain()
    assert run.value == f"{year}-03-02T06:00Z"
    clock.move_to(datetime(year, 3, 9, 7, tzinfo=UTC))
    (run,) = riptide_worker.drain()
    assert run.value == f"{year}-03-09T06:00Z", "of several that were missed the newest"
    assert riptide_worker.drain() == []


@pytest.mark.riptide(workers={"max_attempts": 1})
def test_the_nearest_mark_wins(riptide_worker: InlineWorker) -> None:
    assert riptide_worker.settings.workers.max_attempts == 1
    assert riptide_worker.settings.workers.modules == ("tests.support.shop",)
    riptide_worker.rt.publish(Reserve(order="1", days=("fire",)), tenant="acme")
    assert states(riptide_worker.drain()) == [("reserve", 1, "dead")]


def test_each_test_has_a_prefix_of_its_own(riptide_worker: InlineWorker) -> None:
    riptide_worker.rt.publish(Count())
    cache = riptide_worker.settings.cache.model_copy(update={"key_prefix": "another"})
    with inline_worker(riptide_worker.settings.model_copy(update={"cache": cache})) as other:
        assert other.drain() == []
    assert len(riptide_worker.drain()) == 1


async def test_without_an_end_it_says_so(
    riptide_aworker: AsyncInlineWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riptide.testing.inline._MOST_STARTS", 20)
    await riptide_aworker.rt.publish_many([riptide.Outgoing(Count()) for _ in range(21)])
    with pytest.raises(RiptideError, match="no end after 20 starts"):
        await riptide_aworker.drain()


def test_the_clock_moves_forward_only() -> None:
    clock = MovableClock()
    for past in (datetime(2020, 1, 1, tzinfo=UTC), 0):
        with pytest.raises(InvalidInput, match="only moves forward"):
            clock.move_to(past)
    clock.move_to(datetime(2999, 1, 1, tzinfo=UTC))
    assert datetime.fromtimestamp(clock.now_ms() / 1000, UTC).year == 2999
