"""One tenant's names, keys, tags and commands against all that another has: nothing gets through."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import riptide
from commands import COMMANDS, Invalidate
from riptide.errors import InvalidInput, RiptideError
from riptide.reads.aio_client import aconnect
from riptide.reads.sync_client import RipTide
from riptide.store.keys import PARTITIONS, Keys
from riptide.streams.registry import CommandType
from riptide.tenants.purge.names import Names
from riptide.tenants.usage.counting import Counting
from tests.support.deployment import Deployment
from tests.support.purged import Dump, dump, have_everything
from tests.support.waiting import aeventually
from tests.support.workers import running_worker
from workers import HANDLERS

VICTIM = "victim"
#: A name that begins like the victim's; names that hold the victim's are told apart by it.
ATTACKER = "victim-x"
ON: dict[str, Any] = {"tenant": {"enabled": True}, "streams": {"archive": False}}
KINDS = ("invalidate", "record_usage")
TEXTS = [
    *(
        "k1",
        "victim",
        "{victim}",
        "}:{victim}",
        "{victim}:pages:",
        "riptide:tenant:{victim}:pages:k1",
        "*",
        "?*",
    ),
    *(
        "victim.0",
        "~epoch",
        "~namespaces",
        "~generation",
        ":index",
        "\0",
        "\n",
        "\u0661",
        "%7Bvictim%7D",
        "x" * 2048,
    ),
    *("../victim", "pages:k1", "t1", "owner of victim", "'", '"', "EVAL", "\r\nDEL k\r\n"),
]
NAMESPACES = ["pages", "default", "victim", "victim.0", "a.b", "index", "x" * 63]


@pytest.fixture
def rt(deployment: Deployment) -> Iterator[RipTide]:
    settings = deployment.settings(**ON)
    have_everything(deployment, settings, {VICTIM: 2, ATTACKER: 1})
    with riptide.connect(config=settings) as opened:
        yield opened


def victims(deployment: Deployment) -> Dump:
    """What is in the victim's keys, and its commands."""
    names = Names(deployment.prefix, VICTIM)

    def is_its(place: bytes, value: Any) -> bool:
        key = place.partition(b"|")[0].decode()
        own = names.tag(key) or names.partition(key)
        return bool(own) or (isinstance(value, dict) and value.get(b"tenant") == VICTIM.encode())

    return {place: value for place, value in dump(deployment).items() if is_its(place, value)}


def test_the_cache(deployment: Deployment, rt: RipTide) -> None:
    before = victims(deployment)
    cache = rt.cache
    for text, namespace in itertools.product(TEXTS, NAMESPACES):
        place: Any = {"tenant": ATTACKER, "namespace": namespace}
        if (text, namespace) != ("k1", "pages"):
            assert cache.get(text, **place) is None, (text, namespace)
        cache.set(text, "mine", tags=[text, "t"], ttl=600, **place)
        cache.touch(text, 900, **place)
    for namespace in NAMESPACES:
        place = {"tenant": ATTACKER, "namespace": namespace}
        assert set(cache.get_many(TEXTS, **place).values()) == {"mine"}
        cache.get_or_load("loaded", lambda: "mine", tags=["t"], **place)
        cache.invalidate(keys=TEXTS[:5], tags=[*TEXTS, "t"], **place)
        cache.invalidate_namespace(namespace, tenant=ATTACKER)
    cache.clear(tenant=ATTACKER)
    assert victims(deployment) == before
    assert cache.get("k1", tenant=VICTIM, namespace="pages") == VICTIM
    own = {f"{{{tenant}}}" for tenant in (ATTACKER, VICTIM, f"{VICTIM}.0", f"{VICTIM}.1")}
    for name in deployment.client.scan_iter(f"{deployment.prefix}:tenant:*", count=5000):
        assert name.decode().split(":")[2] in own, "user's texts are never part of a key, but by a hash"


def test_quotas_usage_bills_policies_and_trails(deployment: Deployment, rt: RipTide) -> None:
    before = victims(deployment)
    for row in rt.tenants.export(ATTACKER, entries=True):
        assert VICTIM not in repr(row).replace(ATTACKER, "")
    rt.quotas.check(ATTACKER, {"operations_per_minute": 5, "data_transfer_bytes": 5})
    for text in TEXTS:
        with suppress(InvalidInput):
            rt.usage.record(ATTACKER, text, data_bytes=1)
        with suppress(InvalidInput):
            rt.tenants.allow(ATTACKER, text, "*")
        with suppress(InvalidInput):
            rt.tenants.update(ATTACKER, name=text, settings={text: text}, metadata={"id": VICTIM})
        with pytest.raises(InvalidInput):
            rt.billing.credit(ATTACKER, text, "1", reason=VICTIM)
        with suppress(InvalidInput):
            assert VICTIM not in {one.tenant_id for one in rt.tenants.audit(ATTACKER, cursor=text).records}
    rt.tenants.allow(ATTACKER, "*", "*")
    assert rt.tenants.validate_access(ATTACKER, "pages:1", "write")
    assert not rt.tenants.validate_access(VICTIM, "pages:1", "write"), "the victim's own rule counts"
    assert {one.tenant_id for one in rt.tenants.audit(ATTACKER).records} == {ATTACKER}
    assert rt.usage.show(ATTACKER).operations == 0
    rt.tenants.suspend(ATTACKER)
    assert victims(deployment) == before
    assert rt.tenants.show(VICTIM).status == "active"


async def test_commands(deployment: Deployment, rt: RipTide) -> None:
    """What says in its body, its id or its form that it is another's is still whose its field says."""
    settings = deployment.settings(**ON)
    before = victims(deployment)
    for text in TEXTS:
        with suppress(RiptideError):
            rt.publish(Invalidate(namespace="pages", keys=(text,), tags=(text,)), tenant=ATTACKER, key=VICTIM)
    rt.publish(Invalidate(all=True), tenant=ATTACKER)
    packed = b"".join(len(f).to_bytes(4) + f for f in (b"tenant", b"victim", b"body", b'{"all":true}'))
    for partition in PARTITIONS[::5]:
        for fields in (
            {"tenant": ATTACKER, "body": '{"all":true,"tenant":"victim"}'},
            {"tenant": "victim}", "body": '{"all":true}'},
            {"tenant": "victim\n", "body": '{"all":true}'},
            {"tenant": "victim.0", "body": '{"all":true}'},
            {"tenant": "*", "body": '{"all":true}'},
            {"id": "x", "at": "1", "src": "1-1", "attempts": "0", "orig": packed},
        ):
            deployment.add("invalidate", fields, partition)
        for tenant in (ATTACKER, "victim}:2026-10", "victim:2026-10|", "vic*", "victim\0"):
            body = '{"operation":"render","tenant":"victim"}'
            deployment.add("record_usage", {"tenant": tenant, "body": body}, partition)
    types = [CommandType(kind, COMMANDS[kind], HANDLERS[kind]) for kind in KINDS]
    counting = Counting(Keys(deployment.prefix))
    async with (
        await aconnect(config=settings) as worker_s,
        running_worker(settings, types, counting=counting, cache=worker_s.cache),
    ):

        async def at_rest() -> bool:
            return deployment.at_rest(*KINDS)

        await aeventually(at_rest, "all to be carried out")
    assert victims(deployment) == before
