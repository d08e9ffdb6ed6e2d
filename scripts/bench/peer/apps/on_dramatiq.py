"""dramatiq: eight threads in one process, its default."""

from collections.abc import Sequence

import dramatiq
import job
import redis
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=job.URL)
dramatiq.set_broker(broker)
client = redis.Redis.from_url(job.URL)


@dramatiq.actor(queue_name=job.QUEUE)
def add(n: int) -> None:
    job.add(client, n)


def fill(numbers: Sequence[int]) -> None:
    for n in numbers:
        add.send(n)
