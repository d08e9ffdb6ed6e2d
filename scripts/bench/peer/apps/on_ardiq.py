"""ArdiQ: the loop and its Redis calls in Rust, the task in Python."""

from collections.abc import Sequence

import job
from ardiq import Ardiq
from redis.asyncio import Redis

app = Ardiq(redis_url=job.URL, queue_name=job.QUEUE)
client = Redis.from_url(job.URL)


@app.task
async def add(n: int) -> None:
    await job.aadd(client, n)


async def fill(numbers: Sequence[int]) -> None:
    for at in range(0, len(numbers), 1000):
        await app.enqueue_many([add.prepare(n) for n in numbers[at : at + 1000]])
