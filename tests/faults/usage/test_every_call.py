"""A worker that counts usage is killed, or its connection cut, before and after every single call that it
makes to Redis: whatever it was doing, each record is counted once."""

import asyncio
import json
import secrets
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from riptide.reads.sync_client import connect
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.streams.members import Members, introduce
from riptide.streams.takeover import PartitionOps
from tests.servers import Server
from tests.support.calls import CallProxy, When
from tests.support.census import wait_for_rest
from tests.support.crew import Hand, Place
from tests.support.history import Recorder
from tests.support.observer import Call
from tests.support.usage import KIND, Sums, by_month, counted, make_tenants
from tests.support.usage_crew import count

# Some hundred processes are started, as fast as the machine can.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

PARTITION = PARTITIONS[0]
MARK = f"{{{PARTITION}}}"
RECORDS, TENANTS = 12, ["acme", "globex"]
AT_ONCE = 20  # they wait for leases most of the time
SECTIONS = {"tenant": {"enabled": True}, "streams": {"block_ms": 2000}}
STRIKES: list[tuple[str, When]] = [("kill", "before"), ("kill", "after"), ("cut", "after"), ("cut", "amid")]


def concerns(call: Call) -> bool:
    return any(MARK in key for key in call.keys)


class Stage:
    """One run, under a prefix of its own. `dead_holder`: a worker has died with all records in its hands."""

    def __init__(self, server: Server, directory: Path, *, dead_holder: bool) -> None:
        self.place = Place(server.url, f"u{secrets.token_hex(4)}", directory, sections=SECTIONS)
        self.keys = Keys(self.place.prefix)
        self.recorder = Recorder(directory)
        self.client = redis.Redis.from_url(server.url)
        self.proxy = CallProxy(server.url, concerns)
        self._expected: Sums = Counter()
        self._publish()
        if dead_holder:
            self._die_holding()

    def _publish(self) -> None:
        make_tenants(self.client, self.keys, TENANTS)
        stream = self.keys.commands(KIND, PARTITION)
        for n in range(RECORDS):
            body = json.dumps({"operation": f"op{n % 3}", "data_bytes": 2**n})
            entry: dict[Any, Any] = {"tenant": TENANTS[n % 2], "body": body}
            if n == 5:
                entry["due"] = "+300"
            self._expect(n, self.client.xadd(stream, entry))
        self.client.xadd(stream, {"tenant": "nobody", "body": '{"operation":"op"}'})

    def _expect(self, n: int, entry: Any) -> None:
        """It is of the month in which the server took it."""
        month = f"{datetime.fromtimestamp(int(entry.partition(b'-')[0]) / 1000, UTC):%Y-%m}"
        self._expected[TENANTS[n % 2], month, 0, f"op{n % 3}", "operations"] += 1
        self._expected[TENANTS[n % 2], month, 0, f"op{n % 3}", "data_bytes"] += 2**n

    def _die_holding(self) -> None:
        ops = PartitionOps(self.keys, [KIND], PARTITION)
        name, about = "dead.1.0", introduce("worker", {KIND: 1}, 0)
        with connect(config=self.place.settings()) as rt:
            rt.store.run(Members(self.keys).beat(name, 600, about))
            rt.store.run(ops.raise_fence(name))
            rt.store.run(ops.ensure_groups(name))
        self.client.xreadgroup(GROUP, name, dict.fromkeys(ops.streams, ">"))

    def strike(self, number: int, how: str, when: When) -> list[str]:
        """Strike at the call `number` (-1: never); answers what is wrong."""
        with self.proxy:
            hand = Hand(count, self.place.through(self.proxy.url), self.recorder)
            kill = hand.kill if how == "kill" else lambda: None
            self.proxy.strike_at(number, when, kill, last=how == "kill")
            with hand:
                if how == "kill":
                    self._watch(hand)
                else:
                    self._rest()
        if how == "kill":
            with Hand(count, self.place, self.recorder):
                self._rest()
        return self._judge()

    def _watch(self, hand: Hand) -> None:
        """Until it is struck, or has nothing more to do."""
        while hand.alive and not self.proxy.struck.wait(0.02):
            if not wait_for_rest(self.client, self.keys, [KIND], [PARTITION], patience=0):
                return

    def _rest(self) -> None:
        wait_for_rest(self.client, self.keys, [KIND], [PARTITION])

    def _judge(self) -> list[str]:
        left = wait_for_rest(self.client, self.keys, [KIND], [PARTITION], patience=0)
        expected = self._expected
        found = by_month(counted(self.client, self.keys, TENANTS))
        dead = self.client.xlen(self.keys.dead(KIND, PARTITION))
        traces = self.client.exists(self.keys.retry(KIND, PARTITION), self.keys.retry_bodies(KIND, PARTITION))
        self.client.close()
        self.recorder.close()
        wrong = [f"left: {left}"] if left else []
        wrong += [f"{found - expected} too much, {expected - found} missing"] if found != expected else []
        return wrong + ([f"{dead} dead letters"] if dead != 1 else []) + (["traces"] if traces else [])


@pytest.mark.parametrize("dead_holder", [False, True], ids=["read", "taken over"])
async def test_every_call(dead_holder: bool, valkey: Server, tmp_path: Path) -> None:
    for run in ("warm", "count"):  # at first the server has to be taught the scripts
        stage = Stage(valkey, tmp_path / run, dead_holder=dead_holder)
        assert not await asyncio.to_thread(stage.strike, -1, "cut", "before")
    calls = stage.proxy.calls
    # What comes after that is an idle worker's.
    calls = calls[: len(calls) - calls[::-1].index("count.lua") + 2]
    gate = asyncio.Semaphore(AT_ONCE)

    async def strike(number: int, how: str, when: When) -> tuple[list[str], bool]:
        async with gate:
            own = await asyncio.to_thread(
                Stage, valkey, tmp_path / f"{how}-{when}-{number}", dead_holder=dead_holder
            )
            return await asyncio.to_thread(own.strike, number, how, when), own.proxy.struck.is_set()

    asked = [(n, how, when) for n in range(len(calls)) for how, when in STRIKES]
    outcomes = await asyncio.gather(*(strike(*one) for one in asked))
    bad = [
        f"{how} {when} call {n} ({calls[n]}): {wrong}"
        for (n, how, when), (wrong, _) in zip(asked, outcomes, strict=True)
        if wrong
    ]
    struck = sum(fell for _, fell in outcomes)
    print(f"calls {calls}; {struck} of {len(asked)} strikes fell")  # noqa: T201
    assert not bad, "\n".join(bad)
    assert struck >= len(asked) * 0.4
