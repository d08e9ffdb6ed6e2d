"""What a request costs more with the middleware, which asks for status and quota and counts usage.

The app is called as a server calls it, in one process, with and without the middleware in turn; the
difference of the medians stands beside one round trip of redis-py, asynchronous: a GET, and an EVALSHA that
counts up and sets an expiry, as a plain limiter does. With keys, a tenant's API key is checked, too.
"""

import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import redis.asyncio

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from riptide.api.access.access import Access
from scripts.bench import harness
from scripts.bench.harness import Comparison

TENANT, TIMES = "acme", 2_000
BODY = b"x" * 2_000
_LIMITER = "redis.call('INCRBY', KEYS[1], ARGV[1]) return redis.call('EXPIRE', KEYS[1], ARGV[2])"


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": BODY})


async def _receive() -> dict[str, Any]:
    return {"type": "http.request"}


async def _send(message: Any) -> None:
    pass


def caller(service: Any, headers: list[tuple[bytes, bytes]]) -> Callable[[], Awaitable[None]]:
    """One request, with the headers of a usual client."""
    usual = [
        (b"host", b"example.org"),
        (b"user-agent", b"curl/8"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip"),
    ]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/page",
        "client": ("127.0.0.1", 1),
        "headers": usual + headers,
    }
    return lambda: service({**scope}, _receive, _send)


async def p50s_us(*actions: Callable[[], Awaitable[Any]]) -> list[float]:
    """Of each; they take turns, so that what else the machine does concerns all alike."""
    samples: list[list[float]] = [[] for _ in actions]
    for _ in range(TIMES):
        for place, action in enumerate(actions):
            started = perf_counter()
            await action()
            samples[place].append(perf_counter() - started)
    return [statistics.median(one) * 1e6 for one in samples]


async def compare(url: str, rounds: int) -> list[Comparison]:
    async with (
        redis.asyncio.Redis.from_url(url, protocol=2) as plain,
        await riptide.aconnect(config=harness.settings(url, "bench", tenants=True)) as rt,
    ):
        await plain.set("floor", BODY[:100])
        sha = await plain.script_load(_LIMITER)
        await rt.tenants.create(TENANT, quotas={"operations_per_minute": 2**40})
        key = await Access(rt).create("bench", role="tenant", tenant=TENANT)
        named = [(b"x-tenant-id", TENANT.encode())]
        keyed = [*named, (b"authorization", f"Bearer {key.text}".encode())]
        without, found = caller(app, named), []
        rows: tuple[tuple[str, dict[str, Any], list[tuple[bytes, bytes]], str], ...] = (
            ("quota and usage", {"keys": False}, named, "<= 1.3"),
            ("key, quota and usage", {}, keyed, "-"),
            ("quota and usage, leased", {"keys": False, "lease": True}, named, "<= 0.3"),
            ("key, quota and usage, leased", {"lease": True}, keyed, "<= 0.3"),
        )
        for name, options, headers, reach in rows:
            with_it = caller(riptide.TenantMiddleware(app, rt=rt, **options), headers)
            by_get = Comparison(name, "redis-py GET", "us p50", reach=reach)
            by_script = Comparison(name, "redis-py EVALSHA", "us p50", reach=reach)
            for counts in (False, *[True] * rounds):
                get, script, ours, bare = await p50s_us(
                    lambda: plain.get("floor"),
                    lambda: plain.evalsha(sha, 1, "count", 1, 60),
                    with_it,
                    without,
                )
                if counts:
                    by_get.pairs.append((get, ours - bare))
                    by_script.pairs.append((script, ours - bare))
            found += [by_get, by_script]
        return found


def main() -> None:
    asked = harness.options(__doc__, rounds=7)
    with harness.server(same_cpu=asked.same_cpu) as url:
        harness.report(asyncio.run(compare(url, asked.rounds)))


if __name__ == "__main__":
    main()
