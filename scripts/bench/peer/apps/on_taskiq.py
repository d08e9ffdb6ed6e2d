"""taskiq with taskiq-redis' stream broker. It publishes one at a time; here 50 at once."""

import asyncio
from collections.abc import Sequence

import job
from redis.asyncio import Redis
from taskiq_redis import RedisStreamBroker

# By default it begins at `$`, and what was published before the first worker would never be read.
broker = RedisStreamBroker(job.URL, queue_name=job.QUEUE, consumer_id="0")
client = Redis.from_url(job.URL)


@broker.task
async def add(n: int) -> None:
    await job.aadd(client, n)


async def fill(numbers: Sequence[int]) -> None:
    await broker.startup()
    for at in range(0, len(numbers), 50):
        await asyncio.gather(*[add.kiq(n) for n in numbers[at : at + 50]])
    await broker.shutdown()
