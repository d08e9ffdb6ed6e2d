"""Celery with Redis as its broker, without results."""

from collections.abc import Sequence

import job
import redis
from celery import Celery

app = Celery("on_celery", broker=job.URL)
app.conf.update(task_default_queue=job.QUEUE, task_ignore_result=True)
client = redis.Redis.from_url(job.URL)


@app.task(name="add")
def add(n: int) -> None:
    job.add(client, n)


def fill(numbers: Sequence[int]) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for n in numbers:
            add.apply_async((n,), producer=producer)
