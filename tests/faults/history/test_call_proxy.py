"""The proxy that strikes at the n-th call: the server has carried out what it should have, and no more."""

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import Server
from tests.support.calls import CallProxy, When
from tests.support.observer import Call
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults


def increments(call: Call) -> bool:
    return call.name == "INCRBY"


def plain(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0))


@pytest.mark.parametrize(("when", "reached"), [("before", 2), ("after", 3), ("amid", 3)])
@pytest.mark.parametrize("last", [False, True])
def test_a_strike_at_the_third_call(
    valkey: Server, prefix: str, when: When, reached: int, last: bool
) -> None:
    struck: list[int] = []
    with CallProxy(valkey.url, increments) as proxy, plain(valkey.url) as outsider:
        proxy.strike_at(2, when, lambda: struck.append(len(proxy.calls)), last=last)
        with plain(proxy.url) as client:
            for _ in range(2):
                client.incr(prefix)
                client.get(prefix)  # is not counted
            with pytest.raises(redis.ConnectionError):
                client.incr(prefix)
            eventually(proxy.struck.is_set, "the strike")
            assert struck == [3]
            assert int(outsider.get(prefix) or 0) == reached
            if last:
                with pytest.raises(redis.ConnectionError):
                    client.ping()
            else:
                assert client.incr(prefix) == reached + 1


def test_a_strike_in_the_middle_of_a_pipeline(valkey: Server, prefix: str) -> None:
    """What was sent in one piece is taken apart: the calls behind the strike never reach the server."""
    with (
        CallProxy(valkey.url, increments) as proxy,
        plain(valkey.url) as outsider,
        plain(proxy.url) as client,
    ):
        proxy.strike_at(1, "after", lambda: None, last=True)
        pipe = client.pipeline(transaction=False)
        for _ in range(4):
            pipe.incr(prefix)
        with pytest.raises(redis.ConnectionError):
            pipe.execute()
        assert int(outsider.get(prefix) or 0) == 2
        assert proxy.calls == ["INCRBY", "INCRBY"]
