"""A rate limiter of another library. Arguments: library, URL of the server.

For each number on standard input it makes so many checks, none of which is refused, and prints their
median in microseconds.
"""

import statistics
import sys
from collections.abc import Callable
from time import perf_counter

PER_MINUTE = 10_000_000


def of_limits(url: str) -> Callable[[], bool]:
    from limits import RateLimitItemPerMinute
    from limits.storage import storage_from_string
    from limits.strategies import MovingWindowRateLimiter

    limiter, rate = MovingWindowRateLimiter(storage_from_string(url)), RateLimitItemPerMinute(PER_MINUTE)
    return lambda: bool(limiter.hit(rate, "acme"))


def of_pyrate(url: str) -> Callable[[], bool]:
    from pyrate_limiter import Duration, Limiter, Rate, RedisBucket
    from redis import Redis

    rates = [Rate(PER_MINUTE, Duration.MINUTE)]
    limiter = Limiter(RedisBucket.init(rates, Redis.from_url(url), "pyrate"))
    return lambda: bool(limiter.try_acquire("acme", blocking=False))


def of_throttled(url: str) -> Callable[[], bool]:
    from throttled import RateLimiterType, Throttled, rate_limiter, store

    throttled = Throttled(
        key="acme",
        using=RateLimiterType.SLIDING_WINDOW.value,
        quota=rate_limiter.per_min(PER_MINUTE),
        store=store.RedisStore(server=url),
    )
    return lambda: not throttled.limit().limited


def main() -> None:
    library, url = sys.argv[1:]
    check = {"limits": of_limits, "pyrate": of_pyrate, "throttled": of_throttled}[library](url)
    for line in sys.stdin:
        samples = []
        for _ in range(int(line)):
            started = perf_counter()
            allowed = check()
            samples.append(perf_counter() - started)
            if not allowed:
                raise SystemExit("a check was refused")
        print(statistics.median(samples) * 1e6, flush=True)


if __name__ == "__main__":
    main()
