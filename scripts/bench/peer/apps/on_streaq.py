"""streaq: the task uses the worker's own client."""

from collections.abc import Sequence

import job
from streaq import Worker

worker = Worker(redis_url=job.URL, queue_name=job.QUEUE)


@worker.task(silent=True)
async def add(n: int) -> None:
    await job.aadd(worker.redis, n)


async def fill(numbers: Sequence[int]) -> None:
    async with worker:
        for at in range(0, len(numbers), 1000):
            await worker.enqueue_many([add.enqueue(n) for n in numbers[at : at + 1000]])
