"""Ten thousand tenants: creating, showing and listing do the same work as with ten."""

from collections import Counter
from typing import Any

from riptide.reads.sync_tenants import Tenants
from tests.integration.tenants.conftest import Open
from tests.support.deployment import Deployment

#: Commands whose cost grows with the logarithm of the index at most, or with what they are asked for.
CHEAP = {
    *("evalsha", "eval", "time", "hset", "hget", "hgetall", "hmget", "hdel", "hincrby", "exists"),
    *("zscore", "zcard", "zadd", "zrange", "xadd"),
}


def work(deployment: Deployment, *calls: Any) -> Counter[str]:
    """Which commands the server carried out for `calls`, within scripts too."""
    deployment.client.config_resetstat()
    for call in calls:
        call()
    stats = deployment.client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()})


def fill(deployment: Deployment, count: int, like: str) -> None:
    """Records as they would be after `count` creations."""
    fields = deployment.client.hgetall(deployment.keys.record(like))
    with deployment.client.pipeline(transaction=False) as pipe:
        for number in range(count):
            name = f"f{number:05}"
            pipe.zadd(deployment.keys.control("tenants"), {name: 0})
            pipe.hset(deployment.keys.record(name), mapping=fields)
        pipe.execute()


def one_of_each(tenants: Tenants, name: str) -> list[Any]:
    return [
        lambda: tenants.create(name),
        lambda: tenants.show(name),
        lambda: tenants.list(after="f", limit=9),
        lambda: tenants.update(name, name="x"),
        lambda: tenants.validate_access(name, "a", "read"),
        lambda: tenants.delete(name),
    ]


def test_ten_thousand_tenants_cost_no_more_work_than_ten(alone: Deployment, open_tenants: Open) -> None:
    tenants = open_tenants(alone, tenant={"max_tenants": 100_000})
    for call in one_of_each(tenants, "warm"):
        call()
    fill(alone, 9, like="warm")
    few = work(alone, *one_of_each(tenants, "ten"))
    fill(alone, 10_000, like="warm")
    many = work(alone, *one_of_each(tenants, "thousands"))
    for counted in (few, many):
        del counted["info"], counted["config|resetstat"]
    assert many == few
    assert len(tenants.list(after="f", limit=9).tenants) == 9
    publishing = {"xlen", "get", "set"}
    assert set(many) - CHEAP <= publishing
