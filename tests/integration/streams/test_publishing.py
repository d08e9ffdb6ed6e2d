"""Publishing: single, batch, threads, tasks, with an idempotency key; once, however often repeated."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

import riptide
from riptide.errors import InvalidInput, PublishRefused, PublishUnknown, UnknownCommand
from riptide.reads.aio_client import AsyncRipTide
from riptide.reads.sync_client import RipTide
from riptide.store.keys import PARTITIONS, partition_of
from riptide.streams.message import Ref
from tests.support.commands import Bulk, Effect, Noop
from tests.support.deployment import Deployment


@pytest.fixture
def rt(deployment: Deployment) -> Iterator[RipTide]:
    with riptide.connect(config=deployment.settings()) as rt:
        yield rt


@pytest.fixture
async def art(deployment: Deployment) -> AsyncIterator[AsyncRipTide]:
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        yield rt


def test_what_stands_in_the_stream(deployment: Deployment, rt: RipTide) -> None:
    ref = rt.publish(Noop(n=3), tenant="acme", trace="00-0af7-b7ad-01")
    assert (ref.kind, ref.partition) == ("noop", partition_of("acme"))
    [(partition, entry_id, fields)] = deployment.entries("noop")
    assert Ref("noop", partition, entry_id) == ref
    assert fields.pop(b"id").count(b"-") == 4
    assert 0 <= int(entry_id.partition("-")[0]) - int(fields.pop(b"at")) < 60_000
    assert fields == {b"v": b"1", b"tenant": b"acme", b"body": b'{"n":3}', b"trace": b"00-0af7-b7ad-01"}


async def test_both_faces_write_the_same(deployment: Deployment, rt: RipTide, art: AsyncRipTide) -> None:
    rt.publish(Noop(n=1), tenant="acme")
    await art.publish(Noop(n=1), tenant="acme")
    one, two = (fields for _, _, fields in deployment.entries("noop"))
    for fields in (one, two):
        del fields[b"id"], fields[b"at"]
    assert one == two


def test_a_batch_keeps_its_order_over_types_and_partitions(deployment: Deployment, rt: RipTide) -> None:
    batch = [
        riptide.Outgoing(Noop(n=n) if n % 2 else Bulk(into=f"{n}"), tenant=f"t{n % 200}") for n in range(1234)
    ]
    refs = rt.publish_many(batch)
    stored = {
        Ref(kind, partition, entry): fields
        for kind in ("noop", "bulk")
        for partition, entry, fields in deployment.entries(kind)
    }
    assert len(stored) == len(refs) == len(set(refs)) == len(batch)
    assert [stored[ref][b"body"] for ref in refs] == [outgoing.command.body() for outgoing in batch]
    assert [stored[ref][b"tenant"].decode() for ref in refs] == [outgoing.tenant for outgoing in batch]
    assert {ref.partition for ref in refs} == set(PARTITIONS)


def test_an_empty_batch(deployment: Deployment, rt: RipTide) -> None:
    assert rt.publish_many([]) == []
    assert deployment.entries("noop") == []


async def test_an_idempotency_key(deployment: Deployment, rt: RipTide, art: AsyncRipTide) -> None:
    first = rt.publish(Noop(n=1), tenant="acme", key="order-17")
    assert await art.publish(Noop(n=2), tenant="acme", key="order-17") == first
    others = {
        rt.publish(Noop(n=1), tenant="acme", key="order-18"),
        rt.publish(Noop(n=1), tenant="globex", key="order-17"),
        rt.publish(Bulk(into="x"), tenant="acme", key="order-17"),
        rt.publish(Noop(n=1), tenant="acme"),
        rt.publish(Noop(n=1), key="order-17"),
    }
    assert first not in others
    assert len(others) == 5
    assert len(deployment.entries("noop")) == 5


def test_a_key_raced_for_by_threads(deployment: Deployment, rt: RipTide) -> None:
    refs: list[Ref] = []
    start = threading.Barrier(8)

    def publish() -> None:
        start.wait()
        refs.append(rt.publish(Noop(n=1), key="once"))

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refs) == 8
    assert len(set(refs)) == len(deployment.entries("noop")) == 1


def test_an_idempotency_window_ends(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(streams={"idempotency_window_seconds": 3600})
    with riptide.connect(config=settings) as rt:
        first = rt.publish(Noop(), key="k")
        [lane] = on_valkey.client.scan_iter(f"{on_valkey.prefix}:lane:*", count=5000)
        assert 0 < on_valkey.client.pttl(lane) <= 3_600_000
        on_valkey.client.delete(lane)  # as its expiry would
        assert rt.publish(Noop(), key="k") != first


def test_more_threads_than_connections(deployment: Deployment, rt: RipTide) -> None:
    """Who finds all of them busy waits."""
    threads, each = 30, 20
    refs: list[Ref] = []

    def publish() -> None:
        refs.extend(rt.publish(Noop()) for _ in range(each))

    running = [threading.Thread(target=publish) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert rt.settings.redis.pool_size < threads
    assert len(set(refs)) == len(deployment.entries("noop")) == threads * each


async def test_tasks_share_lanes(deployment: Deployment, art: AsyncRipTide) -> None:
    refs = await asyncio.gather(*(art.publish(Noop(n=n)) for n in range(300)))
    assert len(set(refs)) == 300
    published = deployment.published_ids(["noop"])
    assert len(published) == 300
    assert set(published.values()) == {1}
    lanes = [
        key
        for node in (deployment.client.get_primaries() if deployment.cluster else [None])
        for key in deployment.client.scan_iter(
            f"{deployment.prefix}:lane:*", count=5000, **({} if node is None else {"target_nodes": node})
        )
    ]
    assert 0 < len(set(lanes)) <= 300


@pytest.mark.parametrize("n", [1, 50])
def test_a_lane_is_used_again(on_valkey: Deployment, n: int) -> None:
    with riptide.connect(config=on_valkey.settings()) as rt:
        for _ in range(n):
            rt.publish(Noop())
    lanes = list(on_valkey.client.scan_iter(f"{on_valkey.prefix}:lane:*", count=5000))
    assert len(lanes) == 1, "one publisher at a time needs one lane, however much it publishes"
    assert on_valkey.client.get(lanes[0]).split()[0] == b"%d" % n


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads about is the point
def test_forked_children_use_lanes_of_their_own(deployment: Deployment, rt: RipTide) -> None:
    """A child that went on with its parent's lanes would have its commands dropped as repeated ones."""
    each, children = 50, 3
    rt.publish(Noop())
    pids = []
    for _ in range(children):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for _ in range(each):
                    rt.publish(Noop())
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    for _ in range(each):
        rt.publish(Noop())
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * children
    published = deployment.published_ids(["noop"])
    assert len(published) == 1 + each * (children + 1)
    assert set(published.values()) == {1}


def test_what_can_never_work_is_refused_before_anything_is_sent(deployment: Deployment, rt: RipTide) -> None:
    class Stranger(riptide.Command):
        type = "stranger"
        tenant_required = False

    with pytest.raises(UnknownCommand, match="known are"):
        rt.publish(Stranger())
    for tenant in ("", "A", "a{b}", "a:b", "a*", "a\n", "x" * 10_000, "ä", "\ud800", "a}"):
        with pytest.raises(InvalidInput):
            rt.publish(Noop(), tenant=tenant)
    with pytest.raises(InvalidInput):
        rt.publish(Noop(), key="\ud800")
    for trace in ("\ud800", "x" * 513):
        with pytest.raises(InvalidInput):
            rt.publish(Noop(), trace=trace)
    with pytest.raises(InvalidInput):
        rt.publish_many([riptide.Outgoing(Noop()), riptide.Outgoing(Noop(), tenant="A")])
    assert deployment.entries("noop") == []


def test_a_body_over_the_limit_is_refused(on_valkey: Deployment) -> None:
    with riptide.connect(config=on_valkey.settings(streams={"max_body_bytes": 100})) as rt:
        with pytest.raises(InvalidInput, match="max_body_bytes is 100"):
            rt.publish(Effect(into="x" * 200))
        rt.publish(Effect(into="x" * 20))


def test_a_refusal_says_that_nothing_was_published(on_valkey: Deployment) -> None:
    on_valkey.client.set(on_valkey.keys.commands("noop", PARTITIONS[0]), "not a stream")
    with riptide.connect(config=on_valkey.settings()) as rt, pytest.raises(PublishRefused, match="WRONGTYPE"):
        rt.publish(Noop())


def test_a_batch_that_is_refused_in_part_can_be_repeated(on_valkey: Deployment) -> None:
    """Some of it is in its stream: to publish it again as if it were new would run that twice."""
    tenants = [
        "acme",
        next(t for t in map("t{}".format, range(99)) if partition_of(t) != partition_of("acme")),
    ]
    key = on_valkey.keys.commands("noop", partition_of(tenants[1]))
    on_valkey.client.set(key, "not a stream")
    with riptide.connect(config=on_valkey.settings()) as rt:
        with pytest.raises(PublishUnknown) as caught:
            rt.publish_many([riptide.Outgoing(Noop(), tenant=tenant) for tenant in tenants])
        on_valkey.client.delete(key)
        refs = rt.publish_again(caught.value)
    assert [ref.partition for ref in refs] == [partition_of(tenant) for tenant in tenants]
    assert set(on_valkey.published_ids(["noop"]).values()) == {1}
    assert len(on_valkey.entries("noop")) == 2
