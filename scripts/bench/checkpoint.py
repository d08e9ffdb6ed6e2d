"""Checkpoints and restoring of many sessions, beside reading and writing the same keys by pipelined redis-py;
the memory that it takes; and for how long the sums of a partition are held together, with many tenants."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import redis

from riptide.config import BlobsSettings, Settings
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.checkpoints.sums import Homes, read_homes
from riptide.state.restore.restoring import restore
from riptide.store.keys import Keys, partition_of
from riptide.store.sync import open_store
from riptide.tenants.accounts.account import ENTRY_OVERHEAD_BYTES
from scripts.bench import harness

_PIPELINE = 1000
_MINUTE = 60
_MEASURED = """
import atexit
from pathlib import Path
from riptide.cli.main import main
atexit.register(lambda: print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]))
main()
"""


def fill(client: Any, keys: Keys, sessions: int, tenants: int) -> list[str]:
    """Tenants with sums of three periods, and sessions; the names of these."""
    with client.pipeline(transaction=False) as pipe:
        for n in range(tenants):
            tenant = f"tenant{n}"
            fields = {"incarnation": f"{n:016x}", "status": "active", "revision": 1, "shards": 1}
            pipe.hset(keys.record(tenant), mapping={**fields, "facts": "x" * 300})
            for period in ("2026-11", "2026-11-20T12", "2026-11-20T13"):
                sums = {f"0|{op}|{metric}": n for op in "ab" for metric in ("operations", "data_bytes")}
                pipe.hset(keys.usage(partition_of(tenant), tenant, period), mapping=sums)
            if n % 500 == 499:
                pipe.execute()
        pipe.execute()
    names = [keys.session(f"tenant{n % max(1, tenants)}", f"{n:032x}") for n in range(sessions)]
    write(client, keys, names)
    return names


def write(client: Any, keys: Keys, names: list[str]) -> None:
    """Sessions, and all that is kept about them, as fast as redis-py does it."""
    expires = round(time.time()) + 30 * _MINUTE
    meta, value = b'{"user_id":"ada","client_ip":"10.0.0.1"}', b'"' + b"d" * 100 + b'"'
    size = len(meta) + 2 * len(value) + 10
    fields = {"ttl": 1800, "expires": expires, "created": 1000 * expires, "size": size, "rev": 1}
    by_tenant: dict[str, list[str]] = {}
    for start in range(0, len(names), _PIPELINE):
        with client.pipeline(transaction=False) as pipe:
            for name in names[start : start + _PIPELINE]:
                tag, _, session = name.partition("{")[2].partition("}:")
                by_tenant.setdefault(tag, []).append(session)
                about = {"user": session, "meta": meta, "d:a": value, "d:b": value}
                pipe.hset(name, mapping=fields | about)
                pipe.pexpireat(name, 1000 * expires)
            pipe.execute()
    with client.pipeline(transaction=False) as pipe:
        for tag, ids in by_tenant.items():
            count = size + ENTRY_OVERHEAD_BYTES
            account = {"entries": len(ids), "bytes": len(ids) * count, "at": expires - 30 * _MINUTE}
            pipe.hset(keys.session_account(tag), mapping=account | {str(expires): len(ids) * count})
            pipe.zadd(keys.session_index(tag), dict.fromkeys(ids, expires))
            pipe.zadd(keys.session_users(tag), {f"{one}:{one}": 0 for one in ids})
        pipe.execute()


def read(client: Any, names: list[str]) -> None:
    for start in range(0, len(names), _PIPELINE):
        with client.pipeline(transaction=False) as pipe:
            for name in names[start : start + _PIPELINE]:
                pipe.hgetall(name)
                pipe.pexpiretime(name)
            pipe.execute()


def timed(action: Callable[[], object], count: int) -> float:
    """Keys a second."""
    started = time.perf_counter()
    action()
    return count / (time.perf_counter() - started)


def remove(client: Any, keys: Keys) -> None:
    names = list(client.scan_iter(f"{keys.prefix}:session:*", count=5000))
    for start in range(0, len(names), _PIPELINE):
        client.unlink(*names[start : start + _PIPELINE])


def compare(url: str, settings: Settings, sessions: int, rounds: int) -> None:
    keys, shelf = Keys(settings.cache.key_prefix), Shelf(settings)
    writing = harness.Comparison("checkpoint", "HGETALL, PEXPIRETIME", "keys/s", reach=">= 0.5")
    putting = harness.Comparison("restore", "HSET, PEXPIREAT, ZADD", "keys/s", reach=">= 0.5")
    with redis.Redis.from_url(url) as client:
        names = fill(client, keys, sessions, 1000)
        made = shelf.create()
        for _ in range(rounds):
            floor = timed(lambda: read(client, names), sessions)
            writing.pairs.append((floor, timed(shelf.create, sessions)))
            remove(client, keys)
            floor = timed(lambda: write(client, keys, names), sessions)
            remove(client, keys)
            putting.pairs.append((floor, timed(lambda: restore(settings, shelf, made.id), sessions)))
    harness.report([writing, putting])


def memory(settings: Settings) -> None:
    """Of processes of their own."""
    environment = {"REDIS_URL": settings.redis.url.get_secret_value(), "BLOBS_URL": settings.blobs.url}
    environment |= {"CACHE_KEY_PREFIX": settings.cache.key_prefix, "PYTHONPATH": str(Path.cwd())}
    for command in (["create"], ["restore", "newest"]):
        program = [sys.executable, "-c", _MEASURED, "checkpoint", *command]
        done = subprocess.run(program, env=environment, check=True, capture_output=True, text=True)
        most = int(done.stdout.splitlines()[-1]) / 1024
        harness.console.print(f"{command[0]}: {most:.0f} MiB of memory (reach: < 200 MB)")


def cuts(settings: Settings, tenants: int) -> None:
    """Each call is as long as a partition is held: nothing else is."""
    keys, store = Keys(settings.cache.key_prefix), open_store(settings)
    homes = Homes()
    for n in range(tenants):
        for period in ("2026-11", "2026-11-20T12", "2026-11-20T13", "seals"):
            homes.add(f"usage:{{{partition_of(f'tenant{n}')}}}:tenant{n}:{period}")
    times = []
    for partition, some in homes.each():
        operation = read_homes(keys, partition, some)
        started = time.perf_counter()
        store.run(operation)
        times.append((time.perf_counter() - started) * 1000)
    store.close()
    p99 = statistics.quantiles(times, n=100)[98]
    harness.console.print(
        f"{len(times)} cuts over {tenants:,} tenants: p50 {statistics.median(times):.1f} ms, p99 {p99:.1f}, "
        f"the longest {max(times):.1f} ms, round trips included (reach: p99 <= 20 ms)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000, help="(default %(default)s)")
    parser.add_argument("--tenants", type=int, default=10_000, help="for the cuts (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="interleaved rounds (default %(default)s)")
    asked = parser.parse_args()
    with harness.server(same_cpu=False) as url, tempfile.TemporaryDirectory() as directory:
        blobs = BlobsSettings(url=directory)
        settings = harness.settings(url, "bench", tenants=True).model_copy(update={"blobs": blobs})
        compare(url, settings, asked.sessions, asked.rounds)
        memory(settings)
        with redis.Redis.from_url(url) as client:
            fill(client, Keys("bench"), 0, asked.tenants)
        cuts(settings, asked.tenants)


if __name__ == "__main__":
    main()
