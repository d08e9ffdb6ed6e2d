"""Settling accounts: byte-seconds by calendar month, and in bounded steps where much has expired."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from riptide.cache.accounts.audit import differences
from riptide.cache.accounts.victims import Amount, free
from riptide.cache.core import Core
from riptide.config import CacheSettings
from riptide.reads.sync_cache import Cache
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation, identity
from riptide.store.sync import Store
from riptide.tenants.accounts.account import ENTRY_OVERHEAD_BYTES, Account, settle, total
from tests.support.anybody import Anybody, found

from .conftest import until

PARTS = resources.files("riptide.tenants.accounts").joinpath("lua", "parts")


def test_the_overhead_is_the_same_in_both_languages() -> None:
    text = PARTS.joinpath("overhead.lua").read_text("utf-8")
    assert f"local OVERHEAD = {ENTRY_OVERHEAD_BYTES}\n" in text


def test_months_end_where_the_calendar_says(store: Store, rng: random.Random) -> None:
    source = PARTS.joinpath("month.lua").read_text("utf-8")
    script = f"#!lua\n{source}\nlocal text, ends = month_of(tonumber(ARGV[1]))\nreturn text .. ' ' .. ends\n"
    edges = [
        int(datetime(year, month, 1, tzinfo=UTC).timestamp()) + off
        for year in (1970, 2000, 2023, 2024, 2026, 2100, 2399, 2400)
        for month in range(1, 13)
        for off in (-1, 0, 1)
        if year > 1970 or month > 1 or off >= 0
    ]
    for moment in [*edges, *(rng.randrange(2**33) for _ in range(200))]:
        reply = store.run(Operation(("EVAL", script, 1, "k", moment), bytes.decode))
        day = datetime.fromtimestamp(moment, UTC)
        following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        assert reply == f"{day:%Y-%m} {int(following.timestamp())}"


def test_the_integral_is_split_at_the_months_end(store: Store, prefix: str) -> None:
    """An account that was last looked at two months ago, with an entry that expired in between."""
    account = Account(Keys(prefix), "acme")
    now = int(store.run(Operation(("EVAL", "return redis.call('TIME')[1]", 1, account.index), int)))
    start = now - 70 * 86400
    gone = start + 40 * 86400

    def run(*args: Any) -> None:
        store.run(Operation(args, lambda reply: reply))

    run(
        "HSET",
        account.names[0],
        "entries",
        2,
        "bytes",
        3 * 10**12,
        "at",
        start,
        gone,
        10**12,
        now + 10**6,
        2 * 10**12,
    )
    run("ZADD", account.index, gone, "default:a", now + 10**6, "default:b")
    months = _months(start, now + 86400 + 1)
    told = store.drive(total([account], months))
    end = int(store.run(Operation(("HGET", account.names[0], "at"), int)))
    assert (told.entries, told.bytes, told.evicted["expired"]) == (1, 2 * 10**12, 1)
    expected = {
        month: _overlap(month, start, gone) * 3 * 10**12 + _overlap(month, gone, end) * 2 * 10**12
        for month in months
    }
    assert told.byte_seconds == expected
    assert sum(expected.values()) == (gone - start) * 3 * 10**12 + (end - gone) * 2 * 10**12


def _months(start: int, end: int) -> list[str]:
    return sorted({f"{datetime.fromtimestamp(day, UTC):%Y-%m}" for day in range(start, end, 86400)})


def _overlap(month: str, start: int, end: int) -> int:
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    after = datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
    return max(0, min(end, int(after.timestamp())) - max(start, int(first.timestamp())))


def test_an_account_that_is_far_behind_is_settled_in_steps(store: Store, prefix: str) -> None:
    """By whoever comes along: each of them finds it as behind as the first."""
    keys = Keys(prefix)
    account, cache = Account(keys, "acme"), Cache(store, keys, CacheSettings(), Anybody(keys))
    cache.set("k", 1, tenant="acme")
    comers: list[Callable[[], object]] = [
        lambda: cache.set("k", 1, tenant="acme"),
        lambda: cache.set_many({"k": 1, "l": 1}, tags=["t"], tenant="acme"),
        lambda: cache.touch("k", tenant="acme"),
        lambda: cache.delete("gone", tenant="acme"),
        lambda: cache.invalidate(tags=["t"], tenant="acme"),
        lambda: cache.get_or_load("m", lambda: 1, refresh=True, tenant="acme"),
        lambda: store.drive(free(account, Amount(1, 0), "lru", "policy")),
        lambda: store.drive(settle(account)),
    ]
    seconds = 1000
    for comer in comers:
        now = int(store.run(Operation(("EVAL", "return redis.call('TIME')[1]", 1, account.index), int)))
        late = range(now - seconds, now)
        fields: list[Arg] = [part for second in late for part in (second, 400)]
        members: list[Arg] = [part for second in late for part in (second, f"old:{second:032x}")]
        held = store.run(account.held())
        size = held.bytes + seconds * 400
        more: list[Arg] = ["entries", held.entries + seconds, "bytes", size, "at", now - seconds - 1]
        store.run(Operation(("HSET", account.names[0], *more, *fields), int))
        store.run(Operation(("ZADD", account.index, *members), identity))
        comer()
        for _ in range(3):
            cache.set("other", 1, tenant="acme")
        told = store.drive(total([account]))
        assert told.evicted["expired"] == held.evicted["expired"] + seconds
        assert store.drive(differences(account)) == []
        assert int(store.run(Operation(("ZCARD", account.index), identity))) == told.entries
    cache.close()


def test_what_somebody_else_removed_counts_until_its_time(store: Store, prefix: str) -> None:
    """A DEL by hand goes past the account; that is right again when the entry's second has come."""
    keys = Keys(prefix)
    core, cache = (
        Core(keys, CacheSettings(), Anybody(keys)),
        Cache(store, keys, CacheSettings(), Anybody(keys)),
    )
    ways = [(then, number) for then in ("nothing", "written", "deleted", "evicted") for number in (1, 3)]
    accounts = {f"{then}-{number}": Account(keys, f"{then}-{number}") for then, number in ways}
    for then, number in ways:
        tenant = f"{then}-{number}"
        shard, digest = found(core, tenant).place("0")

        def written_and_removed(
            tenant: str = tenant, number: int = number, name: str = shard.entry(digest)
        ) -> bool:
            cache.set_many({f"{n}": n for n in range(number)}, ttl=2, tenant=tenant)
            return store.run(Operation(("DEL", name), int)) == 1

        until(written_and_removed)  # before its time
        if then == "written":
            cache.set("0", "anew", ttl=1000, tenant=tenant)
        if then == "deleted":
            cache.delete("0", tenant=tenant)
        if then == "evicted":
            store.drive(free(accounts[tenant], Amount(number, 0), "random", "policy"))
    for tenant, account in accounts.items():
        left = int(tenant.startswith("written"))
        until(lambda account=account, left=left: store.drive(total([account])).entries == left)  # type: ignore[misc]
        assert store.drive(differences(account)) == []
        assert bool(store.drive(total([account])).bytes) == bool(left)
    cache.close()
