"""The floor: redis-py's synchronous client in a loop, 100 entries a round trip, all promises left out."""

from collections.abc import Sequence
from typing import Any

import job
import redis

GROUP = "workers"


def fill(numbers: Sequence[int]) -> None:
    client = redis.Redis.from_url(job.URL)
    for at in range(0, len(numbers), 1000):
        with client.pipeline(transaction=False) as pipe:
            for n in numbers[at : at + 1000]:
                pipe.xadd(job.QUEUE, {"n": n})
            pipe.execute()
    client.xgroup_create(job.QUEUE, GROUP, id="0")


def work() -> None:
    client: Any = redis.Redis.from_url(job.URL, protocol=2)
    while True:
        for _, entries in client.xreadgroup(GROUP, "me", {job.QUEUE: ">"}, count=100, block=1000):
            with client.pipeline(transaction=False) as pipe:
                for call in job.calls(int(fields[b"n"]) for _, fields in entries):
                    pipe.execute_command(*call)
                pipe.xack(job.QUEUE, GROUP, *[entry for entry, _ in entries])
                pipe.execute()


if __name__ == "__main__":
    work()
