"""One run of one scenario, under a prefix of its own."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

import riptide
from riptide.store.keys import GROUP, Keys
from riptide.streams.members import Members, introduce
from riptide.streams.takeover import PartitionOps
from tests.servers import Server
from tests.support.calls import CallProxy, When
from tests.support.census import take_census, wait_for_rest
from tests.support.checker import Verdict, check
from tests.support.crew import KINDS, Hand, Place, cancel, produce, recorded_client, send, work
from tests.support.history import Recorder, read_history
from tests.support.scenario import PARTITION, Scenario

MAX_ATTEMPTS = 3
_PATIENCE = 60.0
_LOOK_SECONDS = 0.1


@dataclass
class Outcome:
    """What the history checker says, and what the scenario itself asks for."""

    verdict: Verdict
    calls: list[str]
    struck: bool
    lacks: str
    shown: bool

    @property
    def bad(self) -> bool:
        return bool(self.verdict.violations or self.lacks)


class Stage:
    """Here it is played."""

    def __init__(self, scenario: Scenario, server: Server, directory: Path) -> None:
        self.scenario = scenario
        sections: dict[str, dict[str, Any]] = {
            "workers": {"max_attempts": MAX_ATTEMPTS},
            "streams": {"block_ms": 2000},  # an idle worker's reads would only multiply the calls
            "blobs": {"url": str(directory / "blobs")},
            "state": {"shutdown_timeout_seconds": 0.05} if scenario.ends else {},
        }
        for name, values in scenario.settings.items():
            sections[name] = sections.get(name, {}) | dict(values)
        self.place = Place(server.url, f"c{secrets.token_hex(4)}", directory, sections=sections)
        self.keys = Keys(self.place.prefix)
        self.recorder = Recorder(directory)
        self.client: Any = redis.Redis.from_url(server.url)
        self.proxy = CallProxy(server.url, scenario.counts)

    async def run(self, number: int, how: str, when: When) -> Outcome:
        """Strike at the call `number` (-1: never)."""
        strike = {
            "producer": self._strike_producer,
            "canceller": self._strike_canceller,
            "worker": self._strike_worker,
        }[self.scenario.victim]
        with self.proxy:
            await strike(number, how, when)
        return await asyncio.to_thread(self._judge)

    async def _strike_producer(self, number: int, how: str, when: When) -> None:
        hand = Hand(produce, self._victims_place, self.recorder, self.scenario.batches())
        with self._worker():
            self._arm(number, how, when, hand)
            await asyncio.to_thread(self._wait, hand)
            await self._rest()

    async def _strike_canceller(self, number: int, how: str, when: When) -> None:
        """What waits for its time, and what nobody has read."""
        with self._worker():
            await asyncio.to_thread(self._publish)
            retry = self.keys.retry("step", PARTITION)
            await self._until(lambda: self.client.zcard(retry) == len(self.scenario.plans))
        await asyncio.to_thread(self._publish_late)
        told = self.accepted()
        hand = Hand(cancel, self._victims_place, self.recorder, told)
        self._arm(number, how, when, hand)
        await asyncio.to_thread(self._wait, hand)
        await asyncio.to_thread(cancel, self.place, told)  # once more: then all of it must be
        with self._worker():
            await self._rest()

    @staticmethod
    def _wait(hand: Hand) -> None:
        with hand:
            hand.wait()

    async def _strike_worker(self, number: int, how: str, when: When) -> None:
        await asyncio.to_thread(self._publish)
        victim = Hand(work, self._victims_place, self.recorder)
        self._arm(number, how, when, victim)
        with victim:
            await self._until(lambda: not victim.alive or self._is_over(how))
            if victim.alive:
                await asyncio.to_thread(victim.end)
            else:
                assert how == "kill", f"it died by itself: {victim.log}"
        if how == "kill":
            await asyncio.to_thread(self._publish_late)
        if how == "kill" or self.scenario.ends:
            with self._worker():
                await self._rest()

    def _is_over(self, how: str) -> bool:
        """Whether the victim has nothing more to do."""
        if self.proxy.struck.is_set() and (how == "kill" or self.scenario.ends):
            return True
        return (self.scenario.ends and self._started()) or not self._left()

    def _worker(self) -> Hand:
        """One whom nothing befalls."""
        return Hand(work, self.place, self.recorder)

    def _started(self) -> bool:
        return any(record["what"] == "start" for record in read_history(self.place.directory))

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Or until patience ends, for the checker to judge."""
        deadline = time.monotonic() + _PATIENCE
        while not await asyncio.to_thread(condition) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def _victims_place(self) -> Place:
        return self.place.through(self.proxy.url)

    def _arm(self, number: int, how: str, when: When, hand: Hand) -> None:
        kill: Callable[[], None] = hand.kill if how == "kill" else lambda: None
        self.proxy.strike_at(number, when, kill, last=how == "kill")

    def _publish(self) -> None:
        with recorded_client(self.place) as rt:
            for batch in self.scenario.batches():
                send(rt, self.recorder, batch)
            if self.scenario.held_by != "nobody":
                self._die_holding(rt)

    def _publish_late(self) -> None:
        if self.scenario.late:
            with recorded_client(self.place) as rt:
                send(rt, self.recorder, [self.scenario.bundle("late")])

    def _die_holding(self, rt: riptide.RipTide) -> None:
        """What a worker leaves that was killed between reading and starting."""
        name, about = "dead.1.0", introduce("worker", dict.fromkeys(KINDS, 1), 0)
        ops = PartitionOps(self.keys, list(KINDS), PARTITION)
        if self.scenario.held_by == "dead":
            rt.store.run(Members(self.keys).beat(name, 600, about))
        rt.store.run(ops.raise_fence(name))
        rt.store.run(ops.ensure_groups(name))
        self.client.xreadgroup(GROUP, name, dict.fromkeys(ops.streams, ">"))

    def accepted(self) -> list[tuple[str, str]]:
        """(token, reference) of all that was published, as far as is known."""
        records = read_history(self.place.directory)
        return [(record["token"], record["ref"]) for record in records if record["what"] == "accepted"]

    def _left(self) -> dict[str, str]:
        left = wait_for_rest(self.client, self.keys, KINDS, [PARTITION], patience=0)
        return left or ({"": lacks} if (lacks := self.scenario.lacks(self)) else {})

    async def _rest(self) -> None:
        await self._until(lambda: not self._left())

    def _judge(self) -> Outcome:
        left = wait_for_rest(self.client, self.keys, KINDS, [PARTITION], patience=0)
        refs = [ref for _, ref in self.accepted()]
        with recorded_client(self.place) as rt:
            census = take_census(
                self.client, self.keys, KINDS, [PARTITION], left=left, ask=rt.status, refs=refs
            )
        verdict = check(read_history(self.place.directory), census, max_attempts=MAX_ATTEMPTS)
        lacks, shown = self.scenario.lacks(self), self.scenario.shows(self)
        self.client.close()
        self.recorder.close()
        return Outcome(verdict, self.proxy.calls, self.proxy.struck.is_set(), lacks, shown)
