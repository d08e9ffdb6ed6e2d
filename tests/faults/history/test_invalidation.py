"""No read that starts after an invalidation completed returns what was there before, whatever goes wrong."""

import random
import time
from collections.abc import Callable

import pytest

from tests.servers import ServerProcess
from tests.support.cached import keep_invalidating, keep_reading
from tests.support.proxy import Proxy
from tests.support.tenants import have_tenants
from tests.support.trial import Trial

pytestmark = pytest.mark.faults

SECONDS = 4.0


def test_reads_after_invalidations(
    trial: Callable[..., Trial], private_server: Callable[..., ServerProcess], rng: random.Random
) -> None:
    """Readers are killed in the middle of loads, replies are cut and delayed, and the server is restarted."""
    server = private_server(aof=True)
    tenant = {"enabled": True}
    one = trial(server.url, redis={"retry_delay_ms": 5, "command_timeout_ms": 1000}, tenant=tenant)
    have_tenants(one.place.settings(), "acme")

    def seed() -> int:
        return rng.randrange(2**32)

    with Proxy(server.url, rng) as proxy:
        through = one.place.through(proxy.url)
        # One writer alone: of two, each might undo the other's version.
        writer = one.hand(keep_invalidating, seed(), SECONDS, place=through)
        readers = [one.hand(keep_reading, seed(), SECONDS, place=through) for _ in range(2)]
        readers.append(one.hand(keep_reading, seed(), SECONDS))
        until = time.monotonic() + SECONDS - 1
        while time.monotonic() < until:
            proxy.cut_chance, proxy.delay = rng.choice([(0, 0), (0.05, 0), (0, 0.02)])
            time.sleep(rng.uniform(0.1, 0.4))
            match rng.randrange(4):
                case 0:
                    readers[0].kill()
                    readers[0] = one.hand(keep_reading, seed(), SECONDS, place=through)
                case 1:
                    proxy.cut()
                case 2:
                    server.kill()
                    server.start()
        proxy.cut_chance = proxy.delay = 0
        for hand in (writer, *readers):
            hand.wait()
            assert hand.process.exitcode == 0, hand.log.read_text()[-2000:]
    verdict = one.judge("invalidation")
    assert verdict.counts["reads"] > 20  # there are hundreds even where a machine is very busy
