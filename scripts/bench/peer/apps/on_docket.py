"""docket: its CLI runs the worker with its defaults; this program runs one that is tuned, which the CLI
cannot, as it takes whole seconds."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import job
from docket import Docket, Worker
from redis.asyncio import Redis

client = Redis.from_url(job.URL)


async def add(n: int) -> None:
    await job.aadd(client, n)


async def fill(numbers: Sequence[int]) -> None:
    async with Docket(name=job.QUEUE, url=job.URL) as docket:
        docket.register(add)
        await docket.add_many(docket.call(add)(n) for n in numbers)


async def work() -> None:
    async with Docket(name=job.QUEUE, url=job.URL) as docket:
        docket.register(add)
        async with Worker(
            docket,
            concurrency=50,  # redis-py allows 100 connections, and a task may need two
            minimum_check_interval=timedelta(milliseconds=1),
            redelivery_timeout=timedelta(seconds=10),
        ) as worker:
            await worker.run_forever()


tasks = [add]

if __name__ == "__main__":
    asyncio.run(work())
