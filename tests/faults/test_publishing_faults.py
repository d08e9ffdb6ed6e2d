"""Eight threads and 32 tasks publish through connections that are cut, in the middle of replies too."""

import asyncio
import random
import threading
from collections.abc import Callable
from functools import partial

import pytest

import riptide
from riptide.errors import PublishUnknown, ServerUnavailable
from riptide.streams.message import Ref
from tests.support.commands import Noop
from tests.support.deployment import Deployment, make_settings
from tests.support.proxy import Proxy

pytestmark = pytest.mark.faults

#: Few tries, so that callers often get PublishUnknown and have to repeat themselves.
IMPATIENT = {"retry_attempts": 1, "retry_delay_ms": 1, "breaker_seconds": 0.01}


def check(deployment: Deployment, refs: list[Ref], expected: int) -> None:
    """Every accepted command once in the streams, none dropped."""
    assert len(refs) == expected
    published = deployment.published_ids(["noop"])
    assert set(published.values()) == {1}
    stored = {Ref("noop", partition, entry) for partition, entry, _ in deployment.entries("noop")}
    assert stored == set(refs)
    assert len(published) == len(stored) == expected


def test_threads(on_valkey: Deployment, rng: random.Random) -> None:
    threads, each = 8, 250
    refs: list[Ref] = []
    unknown: list[PublishUnknown] = []
    with Proxy(on_valkey.url, rng) as proxy:
        settings = make_settings(proxy.url, on_valkey.prefix, redis=IMPATIENT)
        with riptide.connect(config=settings) as rt:
            proxy.cut_chance = 0.2

            def publish_one(n: int, tenant: str) -> list[Ref]:
                return [rt.publish(Noop(n=n), tenant=tenant)]

            def publish(thread: int) -> None:
                for n in range(each):
                    refs.extend(_insist(rt, partial(publish_one, n, f"t{thread}"), unknown))

            _run(threads, publish)
            proxy.cut_chance = 0
    assert proxy.cuts > 100
    assert unknown, "the test means to reach PublishUnknown"
    check(on_valkey, refs, threads * each)


def test_threads_publishing_batches(on_valkey: Deployment, rng: random.Random) -> None:
    threads, each, size = 8, 20, 40
    refs: list[Ref] = []
    with Proxy(on_valkey.url, rng) as proxy:
        settings = make_settings(proxy.url, on_valkey.prefix, redis=IMPATIENT)
        with riptide.connect(config=settings) as rt:
            proxy.cut_chance = 0.3

            def publish(thread: int) -> None:
                for _ in range(each):
                    batch = [riptide.Outgoing(Noop(n=n), tenant=f"t{n % 7}") for n in range(size)]
                    refs.extend(_insist(rt, partial(rt.publish_many, batch), []))

            _run(threads, publish)
            proxy.cut_chance = 0
    assert proxy.cuts > 20
    check(on_valkey, refs, threads * each * size)


async def test_tasks(on_valkey: Deployment, rng: random.Random) -> None:
    tasks, each = 32, 60
    refs: list[Ref] = []
    with Proxy(on_valkey.url, rng) as proxy:
        settings = make_settings(proxy.url, on_valkey.prefix, redis=IMPATIENT)
        async with await riptide.aconnect(config=settings) as rt:
            proxy.cut_chance = 0.2

            async def publish(task: int) -> None:
                refs.extend([await _insist_async(rt, Noop(n=n), f"t{task}") for n in range(each)])

            await asyncio.gather(*map(publish, range(tasks)))
            proxy.cut_chance = 0
    assert proxy.cuts > 100
    check(on_valkey, refs, tasks * each)


async def test_cancelled_tasks_leave_nothing_behind(on_valkey: Deployment, rng: random.Random) -> None:
    """A cancelled publish is in its stream or not; its late reply confuses none that follows."""
    accepted: list[Ref] = []
    async with await riptide.aconnect(config=on_valkey.settings(redis={"pool_size": 3})) as rt:

        async def publish(n: int) -> None:
            accepted.append(await rt.publish(Noop(n=n)))

        for n in range(400):
            task = asyncio.create_task(publish(n))
            for _ in range(rng.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, publish(-n), return_exceptions=True)
    published = on_valkey.published_ids(["noop"])
    stored = {Ref("noop", partition, entry) for partition, entry, _ in on_valkey.entries("noop")}
    assert set(published.values()) == {1}
    assert len(accepted) == len(set(accepted)) >= 400
    assert set(accepted) <= stored


def _insist(
    rt: riptide.RipTide, publish: Callable[[], list[Ref]], unknown: list[PublishUnknown]
) -> list[Ref]:
    """Publish anew what was not sent, and again what may have been, until it is accepted."""
    again = publish
    while True:
        try:
            return again()
        except PublishUnknown as error:
            unknown.append(error)
            again = partial(rt.publish_again, error)
        except ServerUnavailable:
            assert again is publish, "what once was unknown stays so until it is answered"


async def _insist_async(rt: riptide.AsyncRipTide, command: Noop, tenant: str) -> Ref:
    unknown: PublishUnknown | None = None
    while True:
        try:
            if unknown is None:
                return await rt.publish(command, tenant=tenant)
            return (await rt.publish_again(unknown))[0]
        except PublishUnknown as error:
            unknown = error
        except ServerUnavailable:
            assert unknown is None, "what once was unknown stays so until it is answered"


def _run(count: int, function: Callable[[int], None]) -> None:
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            function(number)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
