"""The job that RipTide and its peers carry out: add 1 to a field of one hash. Standard library alone.

While a kill is measured each command has a field of its own, notes its start first and takes a while, so that
an observer sees what was started by whom, what had its effect, and how often.
"""

import asyncio
import os
import time
from collections.abc import Iterable
from typing import Any

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6379/0")
QUEUE = os.environ.get("BENCH_QUEUE", "bench")
#: Whether to run with settings meant for throughput, where a peer has two rows.
TUNED = "BENCH_TUNED" in os.environ
TALLY = "tally"
STARTS = "starts"
FIELDS = 16
SECONDS = 0.05

_worker = os.environ.get("BENCH_WORKER", "")


def field(n: int) -> str:
    return str(n) if _worker else str(n % FIELDS)


def _start(n: int) -> str:
    return f"{n} {_worker} {time.time()}\n"


def add(client: Any, n: int) -> None:
    """By a synchronous client."""
    if _worker:
        client.append(STARTS, _start(n))
        time.sleep(SECONDS)
    client.hincrby(TALLY, field(n), 1)


async def aadd(client: Any, n: int) -> None:
    """By an asynchronous client; redis-py's and coredis' look alike here."""
    if _worker:
        await client.append(STARTS, _start(n))
        await asyncio.sleep(SECONDS)
    await client.hincrby(TALLY, field(n), 1)


def calls(numbers: Iterable[int]) -> list[tuple[Any, ...]]:
    """What a handler of batches sends in one round trip."""
    return [("HINCRBY", TALLY, field(n), 1) for n in numbers]


async def begin_batch(numbers: Iterable[int], send: Any) -> None:
    """Note the starts of a batch by `send(calls)`, and take a while, if a kill is measured."""
    if _worker:
        await send([("APPEND", STARTS, "".join(map(_start, numbers)))])
        await asyncio.sleep(SECONDS)
