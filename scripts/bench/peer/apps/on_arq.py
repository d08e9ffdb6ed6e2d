"""arq: with its defaults, or (tuned) with more jobs at a time and a short pause between polls."""

import asyncio
from collections.abc import Sequence
from typing import Any

import job
from arq import create_pool
from arq.connections import RedisSettings

LOGGING = {"version": 1, "loggers": {"arq": {"level": "WARNING"}}}


async def add(ctx: dict[str, Any], n: int) -> None:
    await job.aadd(ctx["redis"], n)


class WorkerSettings:
    functions = (add,)
    redis_settings = RedisSettings.from_dsn(job.URL)
    queue_name = job.QUEUE
    if job.TUNED:
        max_jobs = 100
        poll_delay = 0.01


async def fill(numbers: Sequence[int]) -> None:
    pool = await create_pool(RedisSettings.from_dsn(job.URL), default_queue_name=job.QUEUE)
    for at in range(0, len(numbers), 50):
        await asyncio.gather(*[pool.enqueue_job("add", n) for n in numbers[at : at + 50]])
    await pool.aclose()
