"""Accounts are exact: after every step they say what a model says, whatever was written, removed or expired.

Time passes by itself: entries live for a second or two, and the machine waits for their end now and then.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from riptide.cache.accounts.audit import differences
from riptide.cache.accounts.sweeping import Walk
from riptide.cache.accounts.victims import Amount, free
from riptide.cache.core import Core
from riptide.cache.writing import MISSING, options, prepare
from riptide.config import CacheSettings
from riptide.reads.sync_cache import Cache
from riptide.store.keys import Keys
from riptide.store.operation import Operation, identity
from riptide.store.sync import Store, open_store
from riptide.tenants.accounts.account import ENTRY_OVERHEAD_BYTES, Account, settle
from tests.servers import Servers
from tests.support.anybody import Anybody, found

from .conftest import settings_for

TENANT = "acme"
P = ParamSpec("P")
T = TypeVar("T")
#: In one step: an entry that has expired must not come to be again.
_DAMAGE = "return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('SETRANGE', KEYS[1], 30, 'damaged!')"
names = st.sampled_from(["a", "b", "c"])
namespaces = st.sampled_from(["one", "two"])
sizes = st.integers(0, 300)
lives = st.sampled_from([0.001, 1, 1.5, 1000, 2000])
tag_lists = st.lists(st.sampled_from(["red", "blue"]), unique=True)


@dataclass
class Held:
    """An entry as the model knows it. Times are seconds of the server."""

    size: int
    since: int
    expires: int
    tags: frozenset[str]
    garbage: bool = False
    removed: int | None = None

    def end(self) -> int:
        return self.expires if self.removed is None else min(self.expires, self.removed)


@dataclass
class Model:
    """What was ever written; the last of each key may still be there."""

    all: list[Held] = field(default_factory=list)
    there: dict[tuple[str, str], Held] = field(default_factory=dict)

    def put(self, key: tuple[str, str], entry: Held) -> None:
        self.remove([key], entry.since)
        self.there[key] = entry
        self.all.append(entry)

    def remove(self, keys: Iterable[tuple[str, str]], at: int) -> None:
        for key in list(keys):
            if (old := self.there.pop(key, None)) is not None:
                old.removed = at

    def counted(self, at: int) -> list[Held]:
        return [entry for entry in self.there.values() if entry.expires > at]

    def byte_seconds(self, at: int) -> int:
        return sum(entry.size * (min(at, entry.end()) - entry.since) for entry in self.all)

    def expired(self, at: int) -> int:
        """How many reached their end."""
        return sum(1 for entry in self.all if entry.end() == entry.expires <= at)


class Torn(Exception):
    """A second ended amid a step of several calls: on which side of it each of them was nobody can tell."""


def whole(step: Callable[P, None]) -> Callable[P, None]:
    """After a torn step all begins anew, with keys that nobody has used."""

    @wraps(step)
    def taken(*args: P.args, **how: P.kwargs) -> None:
        try:
            step(*args, **how)
        except Torn:
            machine: Any = args[0]
            machine.end()
            machine.begin()

    return taken


class Accounts(RuleBasedStateMachine):
    store: Store
    rng: random.Random

    @initialize()
    def begin(self) -> None:
        keys = Keys(f"t{self.rng.randrange(16**12):012x}")
        cache = CacheSettings(compression_algorithm="none", negative_ttl_seconds=1)
        self.cache = Cache(self.store, keys, cache, Anybody(keys))
        self.core = Core(keys, cache, Anybody(keys))
        self.account = Account(keys, TENANT)
        self.model = Model()

    def within_a_second(self, act: Callable[[], T]) -> T:
        """What `act` answers. Raises Torn."""
        began = int(self.server_seconds())
        answer = act()
        if int(self.server_seconds()) != began:
            raise Torn
        return answer

    def raw(self, *args: Any) -> Any:
        return self.store.run(Operation(args, identity))

    def at(self) -> int:
        return int(self.raw("HGET", self.account.names[0], "at") or 0)

    def where(self, namespace: str) -> dict[str, Any]:
        return {"tenant": TENANT, "namespace": namespace}

    def entry(self, namespace: str, key: str) -> str:
        shard, digest = found(self.core, TENANT, namespace).place(key)
        return shard.entry(digest)

    def member(self, namespace: str, key: str) -> str:
        shard, digest = found(self.core, TENANT, namespace).place(key)
        return shard.member(digest)

    def written(self, namespace: str, key: str, value: Any, began: int, life: float, **how: Any) -> None:
        """Tell the model of a write just made. When it expires is read off, and must be right."""
        space = found(self.core, TENANT, namespace)
        packed = prepare(self.core, space, key, value, options(**how)).packed
        expires = int(self.raw("ZSCORE", self.account.index, self.member(namespace, key)))
        assert began + life <= expires <= self.server_seconds() + life + 1
        tags = frozenset(how.get("tags", ()))
        size = len(packed) + ENTRY_OVERHEAD_BYTES
        self.model.put((namespace, key), Held(size, self.at(), expires, tags))

    def server_seconds(self) -> float:
        seconds, micros = self.raw("TIME")
        return int(seconds) + int(micros) / 1e6

    @rule(
        namespace=namespaces, key=names, size=sizes, life=lives, stale=st.sampled_from([0, 1]), tags=tag_lists
    )
    def set(self, namespace: str, key: str, size: int, life: float, stale: int, tags: list[str]) -> None:
        began, value = int(self.server_seconds()), b"x" * size
        self.cache.set(key, value, ttl=life, stale=stale, tags=tags, **self.where(namespace))
        self.written(namespace, key, value, began, life + stale, ttl=life, stale=stale, tags=tags)

    @rule(namespace=namespaces, keys=st.lists(names, unique=True, min_size=2), size=sizes, life=lives)
    @whole
    def set_many(self, namespace: str, keys: list[str], size: int, life: float) -> None:
        began, value = int(self.server_seconds()), b"y" * size
        values = dict.fromkeys(keys, value)
        self.within_a_second(lambda: self.cache.set_many(values, ttl=life, **self.where(namespace)))
        for key in keys:
            self.written(namespace, key, value, began, life, ttl=life)

    @rule(namespace=namespaces, key=names)
    def load_nothing(self, namespace: str, key: str) -> None:
        """A negative entry, under a lease."""
        began = int(self.server_seconds())
        self.cache.get_or_load(key, lambda: MISSING, default=None, refresh=True, **self.where(namespace))
        self.written(namespace, key, MISSING, began, 1)

    @rule(namespace=namespaces, key=names, life=lives)
    def touch(self, namespace: str, key: str, life: float) -> None:
        if self.cache.touch(key, life, **self.where(namespace)):
            entry = self.model.there[namespace, key]
            # It goes on as another entry of the same size.
            stale = self.cache_stale(namespace, key)
            expires = int(self.raw("ZSCORE", self.account.index, self.member(namespace, key)))
            assert expires <= self.server_seconds() + life + stale + 1
            self.model.put((namespace, key), Held(entry.size, self.at(), expires, entry.tags))

    def cache_stale(self, namespace: str, key: str) -> float:
        head = self.raw("GET", self.entry(namespace, key)) or bytes(64)
        return int.from_bytes(head[56:64], "little") / 1000

    @rule(namespace=namespaces, keys=st.lists(names, unique=True))
    def delete(self, namespace: str, keys: list[str]) -> None:
        self.cache.invalidate(keys=keys, **self.where(namespace))
        self.model.remove([(namespace, key) for key in keys], self.at())

    @rule(namespace=namespaces, tag=st.sampled_from(["red", "blue"]))
    @whole
    def invalidate_tag(self, namespace: str, tag: str) -> None:
        self.within_a_second(lambda: self.cache.invalidate(tags=[tag], **self.where(namespace)))
        bearing = [
            key for key, entry in self.model.there.items() if key[0] == namespace and tag in entry.tags
        ]
        self.model.remove(bearing, self.at())

    @rule(namespace=namespaces)
    def invalidate_namespace(self, namespace: str) -> None:
        """What it held counts on, as garbage."""
        self.cache.invalidate_namespace(namespace, tenant=TENANT)
        for (own, _), entry in self.model.there.items():
            entry.garbage = entry.garbage or own == namespace

    @rule()
    def clear(self) -> None:
        self.cache.clear(tenant=TENANT)
        for entry in self.model.there.values():
            entry.garbage = True

    @rule(namespace=namespaces, key=names)
    def damage(self, namespace: str, key: str) -> None:
        """A damaged entry is removed by whoever reads it."""
        name = self.entry(namespace, key)
        there = self.raw("EXISTS", name) and not self.model.there[namespace, key].garbage
        if there and self.raw("EVAL", _DAMAGE, 1, name):
            assert self.cache.get(key, **self.where(namespace)) is None
            # One that expires just now is not removed, but counted as expired by and by.
            if self.raw("ZSCORE", self.account.index, self.member(namespace, key)) is None:
                self.model.remove([(namespace, key)], self.at())

    @rule(policy=st.sampled_from(["lru", "ttl", "random"]), number=st.integers(1, 3))
    @whole
    def evict(self, policy: str, number: int) -> None:
        evicting = free(self.account, Amount(number, 0), policy, "policy")
        self.gone(self.within_a_second(lambda: self.store.drive(evicting)))

    @rule()
    @whole
    def sweep(self) -> None:
        before = self.at()
        walk = Walk(self.account)

        def to_its_end() -> None:
            while not self.store.drive(walk.step()):
                pass

        self.within_a_second(to_its_end)
        at = max(before, self.at())
        garbage = [key for key, entry in self.model.there.items() if entry.garbage]
        self.model.remove(garbage, at)
        assert self.raw("EXISTS", self.account.garbage) == 0

    def gone(self, freed: Amount) -> None:
        """Tell the model what was chosen elsewhere to be removed."""
        listed = {member.decode() for member in self.raw("ZRANGE", self.account.index, 0, -1)}
        at = self.at()
        removed = {
            key: entry
            for key, entry in self.model.there.items()
            if entry.expires > at and self.member(*key) not in listed
        }
        assert (len(removed), sum(entry.size for entry in removed.values())) == freed
        self.model.remove(removed, at)

    @rule(seconds=st.sampled_from([1, 1, 3]))
    def wait(self, seconds: int) -> None:
        """Until a later second of the server has begun."""
        now = self.server_seconds()
        time.sleep(int(now) + seconds - now)

    @invariant()
    def account_and_model_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        self.store.drive(settle(self.account, force=True))
        rows = self.raw("HGETALL", self.account.names[0])
        pairs = zip(rows[::2], rows[1::2], strict=True)
        fields = {name.decode(): int(value) for name, value in pairs if value.isdigit()}
        at = fields.get("at", 0)
        counted = self.model.counted(at)
        assert fields.get("entries", 0) == len(counted)
        assert fields.get("bytes", 0) == sum(entry.size for entry in counted)
        integral = sum(value for name, value in fields.items() if name.startswith("bs:"))
        assert integral == self.model.byte_seconds(at)
        assert fields.get("evicted:expired", 0) == self.model.expired(at)
        assert sum(value for name, value in fields.items() if name.isdigit()) == fields.get("bytes", 0)

    def end(self) -> None:
        assert self.store.drive(differences(self.account)) == []
        self.cache.close()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.end()


@pytest.mark.parametrize("kind", ["redis7", "valkey"])
def test_accounts_are_exact(
    kind: str,
    binary: Callable[[str], Any],
    servers: Servers,
    pytestconfig: pytest.Config,
    rng: random.Random,
) -> None:
    binary(kind)
    store = open_store(settings_for(servers.get(kind)))
    machine = type("Machine", (Accounts,), {"store": store, "rng": rng})
    runs: int = pytestconfig.getoption("--account-runs")
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=runs, stateful_step_count=30, suppress_health_check=list(HealthCheck)),
    )
    store.close()
