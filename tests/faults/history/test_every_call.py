"""A process is killed, or its connection cut, before and after every single call that it makes to Redis.

Each scenario runs once to count the calls of its one victim, and then once for every call and every kind of
strike. Only calls that concern the scenario's partition count: heartbeats do not.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

import riptide
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.streams.members import Members, introduce
from riptide.streams.takeover import PartitionOps
from tests.servers import Server
from tests.support.calls import CallProxy, When
from tests.support.census import take_census, wait_for_rest
from tests.support.checker import Verdict, check
from tests.support.crew import (
    KINDS,
    QUICK,
    Hand,
    Place,
    produce,
    recorded_client,
    recorded_worker,
    send,
    work,
)
from tests.support.history import Recorder, read_history
from tests.support.observer import Call
from tests.support.recorded import Bundle, Step

pytestmark = pytest.mark.faults

PARTITION = PARTITIONS[0]
MARK = f"{{{PARTITION}}}"
AT_ONCE = 20  # they wait for leases most of the time
_PATIENCE = 30.0


@dataclass(frozen=True)
class Scenario:
    """What the victim does. To add one: say what is published (in batches), and who is struck."""

    name: str
    plans: Sequence[tuple[str, ...]] = (("done",),)
    bundles: int = 0
    seconds: float = 0
    #: who is struck: a producer that publishes it all, or a worker that finds it published
    victim: str = "worker"
    #: hold what is published in the name of a worker that has died
    dead_holder: bool = False
    #: the worker is asked to end, in no time, once it has started something
    ends: bool = False

    def batches(self) -> list[list[riptide.Outgoing]]:
        steps = [
            riptide.Outgoing(Step(token=f"step{n}", plan=plan, seconds=self.seconds))
            for n, plan in enumerate(self.plans)
        ]
        bundles = [riptide.Outgoing(Bundle(token=f"bundle{n}")) for n in range(self.bundles)]
        return [steps, bundles] if bundles else [steps]


SCENARIOS = [
    Scenario("publish", plans=[("done",)], bundles=3, victim="producer"),
    Scenario("consume and complete", plans=[("done",), ("value",), ("skip",)], bundles=4),
    Scenario("retry", plans=[("again", "done"), ("error", "value")]),
    Scenario("bury", plans=[("dead",), ("again", "dead"), ("error", "error", "error")]),
    Scenario("hand back", plans=[("done",)] * 3, seconds=0.2, ends=True),
    Scenario("take over", plans=[("done",), ("again", "done"), ("dead",)], bundles=2, dead_holder=True),
]
STRIKES: list[tuple[str, When]] = [
    ("kill", "before"),
    ("kill", "after"),
    ("cut", "before"),
    ("cut", "after"),
    ("cut", "amid"),
]


def concerns(call: Call) -> bool:
    return any(MARK in key for key in call.keys)


@dataclass
class Outcome:
    verdict: Verdict
    calls: list[str]
    struck: bool


class Stage:
    """One run of one scenario, under a prefix of its own."""

    def __init__(self, scenario: Scenario, server: Server, directory: Path) -> None:
        self.scenario = scenario
        sections: dict[str, Any] = {"workers": QUICK["workers"] | {"max_attempts": 3}}
        sections["streams"] = {"block_ms": 2000}  # an idle worker's reads would only multiply the calls
        if scenario.ends:
            sections["state"] = {"shutdown_timeout_seconds": 0.05}
        self.place = Place(server.url, f"c{secrets.token_hex(4)}", directory, sections=sections)
        self.keys = Keys(self.place.prefix)
        self.recorder = Recorder(directory)
        self.client = redis.Redis.from_url(server.url)
        self.proxy = CallProxy(server.url, concerns)

    async def run(self, number: int, how: str, when: When) -> Outcome:
        """Strike at the call `number` (-1: never)."""
        with self.proxy:
            if self.scenario.victim == "producer":
                await self._strike_producer(number, how, when)
            else:
                await asyncio.to_thread(self._publish)
                await self._strike_worker(number, how, when)
        return await asyncio.to_thread(self._judge)

    async def _strike_producer(self, number: int, how: str, when: When) -> None:
        place = self.place.through(self.proxy.url)
        hand = Hand(produce, place, self.recorder, self.scenario.batches())
        async with recorded_worker(self.place, self.recorder):
            self._arm(number, how, when, hand)
            await asyncio.to_thread(self._wait, hand)
            await self._rest()

    @staticmethod
    def _wait(hand: Hand) -> None:
        with hand:
            hand.wait()

    async def _strike_worker(self, number: int, how: str, when: When) -> None:
        place = self.place.through(self.proxy.url)
        if how == "cut":
            self._arm(number, how, when, None)
            async with recorded_worker(place, self.recorder) as worker:
                if self.scenario.ends:
                    await self._until_started()
                    worker.stop()
                else:
                    await self._rest()
            if not self.scenario.ends:
                return
        else:
            hand = Hand(work, place, self.recorder)
            self._arm(number, how, when, hand)
            await asyncio.to_thread(self._watch, hand)
        async with recorded_worker(self.place, self.recorder):
            await self._rest()

    def _watch(self, hand: Hand) -> None:
        """Until it is struck, or has nothing more to do."""
        with hand:
            while hand.alive and not self.proxy.struck.wait(0.02):
                if self.scenario.ends and self._started():
                    hand.end()
                elif not self._left():
                    return

    def _started(self) -> bool:
        return any(record["what"] == "start" for record in read_history(self.place.directory))

    async def _until_started(self) -> None:
        for _ in range(1000):
            if self._started() or self.proxy.struck.is_set():
                return
            await asyncio.sleep(0.01)

    def _arm(self, number: int, how: str, when: When, hand: Hand | None) -> None:
        kill: Callable[[], None] = hand.kill if hand is not None and how == "kill" else lambda: None
        self.proxy.strike_at(number, when, kill, last=how == "kill")

    def _publish(self) -> None:
        with recorded_client(self.place) as rt:
            for batch in self.scenario.batches():
                send(rt, self.recorder, batch)
            if self.scenario.dead_holder:
                self._die_holding(rt)

    def _die_holding(self, rt: riptide.RipTide) -> None:
        """What a worker leaves that was killed between reading and starting."""
        name, about = "dead.1.0", introduce("worker", dict.fromkeys(KINDS, 1), 0)
        ops = PartitionOps(self.keys, list(KINDS), PARTITION)
        rt.store.run(Members(self.keys).beat(name, 600, about))
        rt.store.run(ops.raise_fence(name))
        rt.store.run(ops.ensure_groups(name))
        self.client.xreadgroup(GROUP, name, dict.fromkeys(ops.streams, ">"))

    def _left(self) -> dict[str, str]:
        return wait_for_rest(self.client, self.keys, KINDS, [PARTITION], patience=0)

    async def _rest(self) -> None:
        await asyncio.to_thread(wait_for_rest, self.client, self.keys, KINDS, [PARTITION], _PATIENCE)

    def _judge(self) -> Outcome:
        left = self._left()
        records = read_history(self.place.directory)
        refs = [record["ref"] for record in records if record["what"] == "accepted"]
        with recorded_client(self.place) as rt:
            census = take_census(
                self.client, self.keys, KINDS, [PARTITION], left=left, ask=rt.status, refs=refs
            )
        self.client.close()
        self.recorder.close()
        verdict = check(records, census, max_attempts=3)
        return Outcome(verdict, self.proxy.calls, self.proxy.struck.is_set())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_every_call(scenario: Scenario, valkey: Server, tmp_path: Path) -> None:
    for run in ("warm", "count"):  # at first the server has to be taught the scripts
        counted = await Stage(scenario, valkey, tmp_path / run).run(-1, "cut", "before")
    assert not counted.verdict.violations, counted.verdict
    assert counted.verdict.counts["accepted"] == counted.verdict.counts["commands"] > 0
    gate = asyncio.Semaphore(AT_ONCE)

    async def strike(number: int, how: str, when: When) -> Outcome:
        async with gate:
            stage = Stage(scenario, valkey, tmp_path / f"{how}-{when}-{number}")
            return await stage.run(number, how, when)

    asked = [(n, how, when) for n in range(len(counted.calls)) for how, when in STRIKES]
    outcomes = await asyncio.gather(*(strike(*one) for one in asked))
    bad = [
        f"{how} {when} call {n} ({outcome.calls[: n + 1][-1:]}): {outcome.verdict}"
        for (n, how, when), outcome in zip(asked, outcomes, strict=True)
        if outcome.verdict.violations
    ]
    struck = sum(outcome.struck for outcome in outcomes)
    print(f"{scenario.name}: calls {counted.calls}; {struck} of {len(asked)} strikes fell")  # noqa: T201
    assert not bad, "\n".join(bad)
    assert struck >= len(asked) * 0.6
