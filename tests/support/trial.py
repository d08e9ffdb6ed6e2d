"""One deployment whose whole history is written down: its crew, its observer, and the judgement."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import redis

import riptide
from riptide.store.keys import PARTITIONS, Keys
from tests.support.census import take_census, wait_for_rest
from tests.support.checker import Verdict, check
from tests.support.crew import KINDS, Hand, Place, recorded_client, send
from tests.support.history import Record, Recorder, now, read_history
from tests.support.recorded import Bundle, Step
from tests.support.waiting import PATIENCE, eventually

TENANTS = [f"t{n}" for n in range(50)]
_ASKED = 100  # so many commands' states are asked for at the end
#: What handlers are told to do, and how often in a hundred commands.
PLANS: dict[tuple[str, ...], int] = {
    ("done",): 6,
    ("value",): 2,
    ("again", "done"): 3,
    ("error", "error", "value"): 2,
    ("dead",): 2,
    ("again", "dead"): 1,
    ("error",): 1,
    ("skip",): 1,
}


class Trial:
    """`place` is where its processes work. `client` reaches the server directly."""

    def __init__(self, place: Place, rng: random.Random) -> None:
        self.place, self.rng = place, rng
        self.keys = Keys(place.prefix)
        self.recorder = Recorder(place.directory)
        #: reaches the server straight away; the history of Sentinel's is given the primary's
        self.client: Any = _client(place)
        self._stack = ExitStack()
        self._tokens = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, at)
        if self.client is not None:
            self.client.close()
        self.recorder.close()

    def hand(self, target: Callable[..., None], *arguments: Any, place: Place | None = None) -> Hand:
        """A process of the deployment; it is killed at the end."""
        return self._stack.enter_context(Hand(target, place or self.place, self.recorder, *arguments))

    def some(self, count: int) -> list[riptide.Outgoing]:
        """Commands of all kinds, for many tenants."""
        return [self._one() for _ in range(count)]

    def _one(self) -> riptide.Outgoing:
        self._tokens += 1
        token, tenant = f"{self._tokens}", self.rng.choice(TENANTS)
        at = self.rng.randrange(100)
        for plan, share in PLANS.items():
            at -= share
            if at < 0:
                seconds = self.rng.choice([0, 0, 0, 0.05])
                return riptide.Outgoing(Step(token=token, plan=plan, seconds=seconds), tenant=tenant)
        return riptide.Outgoing(Bundle(token=token), tenant=tenant)

    def poison(self) -> riptide.Outgoing:
        """A command that kills every worker that starts it."""
        self._tokens += 1
        return riptide.Outgoing(Step(token=f"poison{self._tokens}", plan=("poison",)), tenant="t0")

    def batches(self, commands: Sequence[riptide.Outgoing]) -> Iterator[list[riptide.Outgoing]]:
        """Cut into batches of one to a hundred commands, and some of one by itself."""
        at = 0
        while at < len(commands):
            size = self.rng.choice([1, 1, 7, 100])
            yield list(commands[at : at + size])
            at += size

    def publish(self, commands: Sequence[riptide.Outgoing], again: Callable[[], bool] = lambda: True) -> None:
        """Publish from this process, in batches, until each outcome is known, or `again()` is false."""
        with recorded_client(self.place) as rt:
            for batch in self.batches(commands):
                send(rt, self.recorder, batch, again)

    def forgot(self, since: int) -> None:
        """The server may have lost what it acknowledged between `since` and now."""
        self.recorder.add("forgot", since=since)

    @staticmethod
    def now() -> int:
        return now()

    def records(self) -> list[Record]:
        return read_history(self.place.directory)

    def count(self, what: str) -> int:
        """Records of one kind so far."""
        mark = f'"what":"{what}"'.encode()
        return sum(file.read_bytes().count(mark) for file in self.place.directory.glob("*.jsonl"))

    def members(self) -> list[str]:
        """Names of all that count as members, the dead that nobody has forgotten among them."""
        return [name.decode() for name in self.client.zrange(self.keys.control("members"), 0, -1)]

    def silence(self) -> list[float]:
        """Seconds since the last heartbeat of each member, by the server's clock."""
        seconds, micros = self.client.time()
        beats = self.client.zrange(self.keys.control("members"), 0, -1, withscores=True)
        return [seconds + micros / 1e6 - beat / 1000 for _, beat in beats]

    def wait_for_members(self, workers: Sequence[Hand]) -> None:
        """Wait until these processes, and nobody else, are members, and all of them have joined.

        A count would not do: for a lease the dead count too."""
        pids = sorted(str(hand.pid) for hand in workers)

        def joined() -> bool:
            names = self.members()
            fences = [self.keys.fence(p, name) for name in names for p in PARTITIONS]
            there = not fences or self.client.exists(*fences) == len(fences)
            return there and sorted(name.split(".")[-2] for name in names) == pids

        eventually(joined, "the members to be those that live")

    def rest(self, patience: float = 2 * PATIENCE) -> dict[str, str]:
        """Wait until nothing waits or runs; what is left if that never comes."""
        return wait_for_rest(self.client, self.keys, KINDS, PARTITIONS, patience)

    def judge(self, title: str, patience: float = 2 * PATIENCE) -> Verdict:
        """Wait for rest, check the whole history, print the figures, and fail on a violation."""
        left = self.rest(patience)
        records = self.records()
        accepted = [record["ref"] for record in records if record["what"] == "accepted"]
        asked = self.rng.sample(accepted, min(_ASKED, len(accepted)))
        with recorded_client(self.place) as rt:
            census = take_census(self.client, self.keys, KINDS, left=left, ask=rt.status, refs=asked)
        verdict = check(records, census)
        print(f"{title}: {verdict}")  # noqa: T201 - the figures of the run
        assert not verdict.violations, f"{verdict}\n{self.place.directory}"
        return verdict


def _client(place: Place) -> Any:
    if place.cluster:
        return redis.RedisCluster.from_url(place.url)
    return None if "+sentinel" in place.url else redis.Redis.from_url(place.url)
