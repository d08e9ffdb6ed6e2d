"""Clients that use a deployment without a pause, each keeping books of its own: by these a restore is judged.

They stop when they are told to, or when anything goes wrong: that is in `failed`.
"""

import json
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, NamedTuple, Self

import redis

import riptide
from riptide.config import Settings
from riptide.errors import ServerUnavailable
from riptide.reads.sync_client import RipTide
from riptide.store.keys import PARTITIONS, partition_of
from tests.support.deployment import Deployment
from tests.support.usage import KIND
from tests.support.waiting import PATIENCE, eventually

_PAUSE = 0.002  # between two calls of one client: on two cores others want to live, too
_ROOM = timedelta(minutes=1)  # more than a test takes
_OPERATIONS = ("render", "read")
_GONE = (redis.ConnectionError, ServerUnavailable)
Totals = Counter[tuple[str, str, str]]


class Clerk(threading.Thread):
    """Calls `step` again and again. `done` counts the calls."""

    def __init__(self, settings: Settings, tenants: Sequence[str], seed: str) -> None:
        super().__init__(daemon=True)
        self.settings, self.tenants, self.rng = settings, list(tenants), random.Random(seed)
        self._stopped = threading.Event()
        self.done = 0
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            with riptide.connect(config=self.settings) as rt:
                while not self._stopped.wait(_PAUSE):
                    self.step(rt)
                    self.done += 1
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.failed = error

    def step(self, rt: RipTide) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._stopped.set()


class Crowd:
    """Several clerks at work."""

    def __init__(self, *clerks: Clerk) -> None:
        self.clerks = clerks

    def __enter__(self) -> Self:
        for clerk in self.clerks:
            clerk.start()
        return self

    def go_on(self, steps: int) -> None:
        """Until each has done so much more."""
        wanted = [clerk.done + steps for clerk in self.clerks]
        eventually(
            lambda: all(c.done >= n or not c.is_alive() for c, n in zip(self.clerks, wanted, strict=True)),
            "the clients to go on",
        )
        self.check()

    def check(self, *, lost_server: bool = False) -> None:
        """Nobody was refused or met an error, but for that of a server that is gone."""
        for clerk in self.clerks:
            if clerk.failed is not None and not (lost_server and isinstance(clerk.failed, _GONE)):
                raise clerk.failed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for clerk in self.clerks:
            clerk.stop()
        for clerk in self.clerks:
            clerk.join(PATIENCE)
            assert not clerk.is_alive()


class Sent(NamedTuple):
    """One record of usage. `entry` None: its answer was lost."""

    token: str
    partition: str
    entry: str | None
    tenant: str
    amounts: dict[tuple[str, str], int]


class UsageClerk(Clerk):
    """Sends usage by a bare XADD, to partitions of all kinds."""

    def __init__(self, deployment: Deployment, settings: Settings, tenants: Sequence[str], seed: str) -> None:
        super().__init__(settings, tenants, seed)
        self._client, self._keys = redis.Redis.from_url(deployment.url), deployment.keys
        self.sent: list[Sent] = []

    def step(self, rt: RipTide) -> None:
        self.send(1)

    def send(self, count: int) -> None:
        for _ in range(count):
            tenant, operation = self.rng.choice(self.tenants), self.rng.choice(_OPERATIONS)
            partition = self.rng.choice([partition_of(tenant), PARTITIONS[3]])
            n, size, token = self.rng.randint(1, 999), self.rng.randint(1, 2**40), secrets.token_hex(16)
            body = {"operation": operation, "operation_count": n, "data_bytes": size}
            amounts = {(operation, "operations"): n, (operation, "data_bytes"): size}
            self.sent.append(Sent(token, partition, None, tenant, amounts))
            fields: Any = {"id": token, "tenant": tenant, "body": json.dumps(body)}
            entry: Any = self._client.xadd(self._keys.commands(KIND, partition), fields)
            self.sent[-1] = self.sent[-1]._replace(entry=entry.decode())

    def totals(self, upto: Mapping[str, str] | None = None, tokens: frozenset[str] = frozenset()) -> Totals:
        """By tenant, operation and metric: what was sent, or, with `upto`, no entry after those, and of those
        whose answer was lost the ones of `tokens`."""
        found: Totals = Counter()
        for one in self.sent:
            if one.entry is None and one.token not in tokens:
                continue
            if upto is not None and one.entry is not None and _order(one.entry) > _order(upto[one.partition]):
                continue
            found.update({(one.tenant, *what): amount for what, amount in one.amounts.items()})
        return found


def _order(entry: str) -> tuple[int, ...]:
    return tuple(map(int, entry.split("-")))


class Span(NamedTuple):
    """A state, and when (time.monotonic()) it was asked for and answered."""

    begun: float
    ended: float
    state: Any


class History:
    """The states of one thing that one client alone changes."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, begun: float, state: Any) -> None:
        self.spans.append(Span(begun, time.monotonic(), state))

    @property
    def now(self) -> Any:
        return self.spans[-1].state

    def between(self, begin: float, end: float) -> list[Any]:
        """What somebody may have seen who looked between two times; None: it was not there."""
        before = [one.state for one in self.spans if one.ended < begin]
        meanwhile = [one.state for one in self.spans if one.ended >= begin and one.begun <= end]
        return [before[-1] if before else None, *meanwhile]


class SessionClerk(Clerk):
    """Creates, changes and ends sessions of some kilobytes. `books` holds each one's data, None: it has
    ended."""

    def __init__(self, settings: Settings, tenants: Sequence[str], seed: str) -> None:
        super().__init__(settings, tenants, seed)
        self.books: dict[tuple[str, str], History] = {}

    def step(self, rt: RipTide) -> None:
        begun = time.monotonic()
        alive = [place for place, history in self.books.items() if history.now is not None]
        if len(alive) < 20:
            tenant, data = self.rng.choice(self.tenants), {"n": 0, "x": "x" * self.rng.randint(1, 3000)}
            made = rt.sessions.create("ada", data, tenant=tenant)
            self.books[tenant, made.id] = History()
            self.books[tenant, made.id].add(begun, data)
            return
        place = self.rng.choice(alive)
        tenant, session = place
        changed: dict[str, Any] | None = None
        if self.rng.random() < 0.1:
            assert rt.sessions.terminate(session, tenant=tenant)
        else:
            changed = self.books[place].now | {"n": self.books[place].now["n"] + 1}
            assert rt.sessions.update(session, {"n": changed["n"]}, tenant=tenant)
        self.books[place].add(begun, changed)

    def check_now(self, rt: RipTide) -> None:
        """Every session is what the books say."""
        for (tenant, session), history in self.books.items():
            found = rt.sessions.get(session, tenant=tenant)
            assert (found and found.data) == history.now


class QuotaClerk(Clerk):
    """Takes of a total of the month. Where that is about to end, the next one is waited for."""

    def __init__(self, settings: Settings, tenants: Sequence[str], seed: str) -> None:
        super().__init__(settings, tenants, seed)
        now = datetime.now(UTC)
        if (now + _ROOM).month != now.month:
            time.sleep(_ROOM.total_seconds())
        self.books = {tenant: History() for tenant in tenants}

    def step(self, rt: RipTide) -> None:
        begun, tenant, amount = time.monotonic(), self.rng.choice(self.tenants), self.rng.randint(1, 1000)
        spans = self.books[tenant].spans
        before = spans[-1].state if spans else 0
        # Whoever looks meanwhile may see it; if the answer never comes, too.
        rt.quotas.check(tenant, {"data_transfer_bytes": amount}).raise_if_refused()
        self.books[tenant].add(begun, before + amount)


def taken(rt: RipTide, tenant: str) -> int:
    """What the server says was taken of the month's total."""
    (quota,) = [one for one in rt.quotas.show(tenant) if one.resource == "data_transfer_bytes"]
    return quota.standing.used
