"""FastStream on a Redis stream with a consumer group: one message a call, or (tuned) a batch a call."""

import contextlib
import os
from collections.abc import Sequence

import job
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from redis.asyncio import Redis
from redis.exceptions import ResponseError

broker = RedisBroker(job.URL, logger=None)  # it would write two lines a message
app = FastStream(broker)
client = Redis.from_url(job.URL)
GROUP = "workers"
stream = StreamSub(job.QUEUE, group=GROUP, consumer=f"worker{os.getpid()}", batch=job.TUNED, max_records=100)


async def add(n: int) -> None:
    await job.aadd(client, n)


async def add_all(numbers: list[int]) -> None:
    async def send(calls: list[tuple[object, ...]]) -> None:
        async with client.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.execute_command(*call)
            await pipe.execute()

    await job.begin_batch(numbers, send)
    await send(job.calls(numbers))


broker.subscriber(stream=stream)(add_all if job.TUNED else add)


async def fill(numbers: Sequence[int]) -> None:
    # It would begin at `$`, and what was published before the first worker would never be read.
    with contextlib.suppress(ResponseError):
        await client.xgroup_create(job.QUEUE, GROUP, id="0", mkstream=True)
    await broker.connect()
    for at in range(0, len(numbers), 1000):
        async with client.pipeline(transaction=False) as pipe:
            for n in numbers[at : at + 1000]:
                await broker.publish(n, stream=job.QUEUE, pipeline=pipe)
            await pipe.execute()
    await broker.stop()
