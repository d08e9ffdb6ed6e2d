"""Publishing: one command at a time, and a hundred in a batch, each idempotent.

Floors: a bare XADD by redis-py of the same fields; a pipeline of a hundred XADDs.
"""

import itertools
import sys
import time
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from riptide.clock import SystemClock
from riptide.store.keys import Keys
from riptide.store.sync import open_store
from riptide.streams.publishing import Outgoing, Publisher
from scripts.bench import harness
from scripts.bench.noop import Noop

TIMES, BATCH, BATCHES = 2000, 100, 100
_FIELDS = {
    "id": "0192f0c1-2c6e-7d3a-9d3e-0123456789ab",
    "v": 1,
    "at": 1_763_700_000_000,
    "body": b'{"n":7}',
    "tenant": "acme",
}


def main() -> None:
    chosen = harness.options(__doc__, rounds=9)
    one = harness.Comparison("publish one, sync", "XADD", "us, p50", reach="<= 1.25")
    many = harness.Comparison("publish 100 in a batch", "pipelined XADD", "commands/s", reach=">= 0.7")
    with harness.server(same_cpu=chosen.same_cpu) as url:
        client = redis.Redis.from_url(url, protocol=2)
        settings = harness.settings(url, "bench")
        store = open_store(settings)
        publisher = Publisher(Keys("bench"), settings.streams, {"noop": Noop}, SystemClock())
        numbers = itertools.count()

        def xadd() -> object:
            return client.xadd("floor", _FIELDS)  # type: ignore[arg-type]

        def publish() -> object:
            return store.drive(publisher.publish(Outgoing(Noop(n=next(numbers)), "acme")))

        def pipelined() -> float:
            started = time.perf_counter()
            for _ in range(BATCHES):
                with client.pipeline(transaction=False) as pipe:
                    for _ in range(BATCH):
                        pipe.xadd("floor", _FIELDS)  # type: ignore[arg-type]
                    pipe.execute()
            return BATCHES * BATCH / (time.perf_counter() - started)

        def batches() -> float:
            started = time.perf_counter()
            for _ in range(BATCHES):
                store.drive(
                    publisher.publish_many([Outgoing(Noop(n=next(numbers)), "acme") for _ in range(BATCH)])
                )
            return BATCHES * BATCH / (time.perf_counter() - started)

        harness.interleave(
            chosen.rounds, one, lambda: harness.p50_us(xadd, TIMES), lambda: harness.p50_us(publish, TIMES)
        )
        harness.interleave(chosen.rounds, many, pipelined, batches)
    harness.report([one, many])


if __name__ == "__main__":
    main()
