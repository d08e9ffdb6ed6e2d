"""Usage through all faults: the sums are what the producers' own ledgers say, to the unit.

`--usage-records 200000 --timeout 0` makes it long; `--seed` repeats a run's choices.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest

from riptide.errors import ServerUnavailable
from riptide.reads.sync_client import connect
from riptide.store.keys import PARTITIONS
from riptide.store.operation import Flow
from riptide.store.sync import Store
from riptide.tenants.usage.merging import METRICS
from riptide.tenants.usage.sealing import seal, sealed_sums
from tests.servers import ServerProcess
from tests.support.census import wait_for_rest
from tests.support.crew import Hand
from tests.support.proxy import Proxy
from tests.support.trial import Trial
from tests.support.usage import KIND, Sums, counted, make_tenants, month_before
from tests.support.usage_crew import PRODUCERS, TENANTS, count, read_ledgers
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

WORKERS = 3
SECTIONS = {
    "tenant": {"enabled": True},
    "redis": {"retry_delay_ms": 5, "command_timeout_ms": 1000},
    # A worker that is killed again and again is not what is looked for here.
    "workers": {"max_attempts": 50},
}
NOW = datetime.now(UTC)
LAST = month_before(NOW)
LAST_MONTH = f"{LAST:%Y-%m}"
#: Moments an hour or more ago: nothing lies ahead of the server's clock.
MONTHS = [
    round((NOW - timedelta(hours=2)).timestamp() * 1000),
    round(LAST.replace(hour=3).timestamp() * 1000),
]
Key = tuple[str, str, str, str]
T = TypeVar("T")


class Trouble:
    """Workers behind proxies, and what befalls them."""

    def __init__(self, trial: Trial, server: ServerProcess, rng: random.Random) -> None:
        self.trial, self.server, self.rng = trial, server, rng
        self.proxies = [Proxy(server.url, rng).__enter__() for _ in range(2)]
        self.workers = [self._hire(number) for number in range(WORKERS)]
        self.producers: list[Hand] = []
        self.befell: Counter[str] = Counter()

    def _hire(self, number: int) -> Hand:
        place = self.trial.place
        return self.trial.hand(count, place=place.through(self.proxies[0].url) if number == 0 else place)

    def produce(self, records: int, seconds: float) -> None:
        each = records // len(PRODUCERS)
        for produce in PRODUCERS:
            seed = f"{self.rng.randrange(2**32)}"
            place = self.trial.place.through(self.proxies[1].url)
            self.producers.append(self.trial.hand(produce, seed, each, MONTHS, seconds / each, place=place))

    @property
    def producing(self) -> bool:
        return any(hand.alive for hand in self.producers)

    def replace_the_dead(self) -> None:
        for number, hand in enumerate(self.workers):
            if not hand.alive:
                hand.kill()
                self.workers[number] = self._hire(number)

    def kill(self) -> None:
        self.rng.choice(self.workers).kill()

    def make_a_zombie(self) -> None:
        """Stopped until it has been taken over."""
        hand = self.rng.choice(self.workers)
        hand.signal(signal.SIGSTOP)
        time.sleep(1.3)
        hand.signal(signal.SIGCONT)

    def cut(self) -> None:
        for proxy in self.proxies:
            proxy.cut()

    def cut_replies(self) -> None:
        for proxy in self.proxies:
            proxy.cut_chance = 0.1
        time.sleep(0.5)
        for proxy in self.proxies:
            proxy.cut_chance = 0.0

    def kill_the_server(self) -> None:
        self.server.kill()
        self.server.start()

    @property
    def everything(self) -> list[Callable[[], None]]:
        return [self.kill, self.kill, self.make_a_zombie, self.cut, self.cut_replies]

    def befall_each(self) -> None:
        for what in self.rng.sample(self.everything, len(self.everything)):
            self.befall(what)

    def settle(self) -> None:
        """Nothing goes wrong any more."""

        def at_rest() -> bool:
            self.replace_the_dead()
            return not wait_for_rest(self.trial.client, self.trial.keys, [KIND], patience=0.2)

        eventually(at_rest, "all to be counted", 120)

    def befall(self, what: Callable[[], None]) -> None:
        what()
        self.befell[what.__name__] += 1
        time.sleep(self.rng.uniform(0, 0.3))
        self.replace_the_dead()

    def close(self) -> None:
        for proxy in self.proxies:
            proxy.__exit__(None, None, None)


def test_the_sums_are_the_ledgers(
    trial: Callable[..., Trial],
    private_server: Callable[..., ServerProcess],
    rng: random.Random,
    pytestconfig: pytest.Config,
) -> None:
    records = int(pytestconfig.getoption("--usage-records")) // len(PRODUCERS) * len(PRODUCERS)
    server = private_server(aof=True)
    history = trial(server.url, **SECTIONS)
    make_tenants(history.client, history.keys, TENANTS)
    trouble = Trouble(history, server, rng)
    with connect(config=history.place.settings()) as rt:
        try:
            trouble.produce(records, seconds=max(5.0, records / 1000))
            trouble.befall_each()
            # In the middle of it one crash of the server, and the month is sealed.
            trouble.befall(trouble.kill_the_server)
            for _ in range(2):  # whoever seals may die, and another one does it again
                patiently(rt.store, partial(seal, history.keys, dict.fromkeys(TENANTS, "0"), LAST_MONTH))
            invoiced = sealed(rt.store, history)
            while trouble.producing:
                trouble.befall(rng.choice(trouble.everything))
            for hand in trouble.producers:
                hand.wait()
                assert not hand.process.exitcode
            trouble.befall(trouble.kill)
            trouble.settle()
        finally:
            trouble.close()
        assert sealed(rt.store, history) == invoiced, "what was sealed stays"
    ledger, facts = read_ledgers(history.place.directory)
    handled = sum(record["count"] for record in history.records() if record["what"] == "handled")
    print(  # noqa: T201 - the figures of the run
        f"usage: sent {facts['sent']:,}, applied {records:,}, redelivered {handled - records:,}, repeated "
        f"{facts['repeated']:,}, duplicates refused {facts['refused']:,}; {dict(trouble.befell)}"
    )
    assert facts["sent"] == records
    assert not [p for p in PARTITIONS if history.client.exists(history.keys.dead(KIND, p))]
    compare(counted(history.client, history.keys, TENANTS), ledger, invoiced)
    assert facts["refused"] > 0
    assert handled > records


def compare(sums: Sums, ledger: Counter[Key], invoiced: Counter[Key]) -> None:
    """All sums by month and by hour, and the invoice with its adjustment, are the ledger."""
    months: Counter[Key] = Counter()
    hours: Counter[Key] = Counter()
    late: Counter[Key] = Counter()
    for (tenant, period, generation, operation, metric), value in sums.items():
        by_hour = "T" in period
        (hours if by_hour else months)[tenant, period[:7], operation, metric] += value
        if generation and not by_hour:
            assert period == LAST_MONTH
            late[tenant, period, operation, metric] += value
    assert months == ledger
    assert {key: value for key, value in hours.items() if key[1] != LAST_MONTH} == {
        key: value for key, value in ledger.items() if key[1] != LAST_MONTH
    }
    assert late
    assert invoiced
    assert invoiced + late == Counter({key: value for key, value in ledger.items() if key[1] == LAST_MONTH})


def sealed(store: Store, history: Trial) -> Counter[Key]:
    """What the invoices of last month are written from."""
    found: Counter[Key] = Counter()
    for tenant in TENANTS:
        sums = patiently(store, partial(sealed_sums, history.keys, tenant, LAST_MONTH))
        for operation, amounts in sums.by_operation.items():
            for metric in METRICS:
                found[tenant, LAST_MONTH, operation, metric] += getattr(amounts, metric)
    return +found


def patiently(store: Store, flow: Callable[[], Flow[T]]) -> T:
    """Until the server answers."""
    while True:
        try:
            return store.drive(flow())
        except ServerUnavailable:
            time.sleep(0.05)
