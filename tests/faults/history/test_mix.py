"""Everything goes wrong at once: commands of all kinds, two of everything, and all faults, mixed by a seed.

`--history-commands 100000` makes it long, `--history-minutes 60` repeats it with other seeds; `--seed`
repeats a run's choices.
"""

import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.servers import ServerProcess
from tests.support.crew import Hand, produce, work
from tests.support.proxy import Proxy
from tests.support.trial import Trial
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

WORKERS, PRODUCERS = 3, 2
IMPATIENT = {"redis": {"retry_delay_ms": 5, "command_timeout_ms": 1000}}


class Mix:
    """Two or more workers and producers behind proxies, and what befalls them."""

    def __init__(self, trial: Trial, server: ServerProcess, rng: random.Random) -> None:
        self.trial, self.server, self.rng = trial, server, rng
        self.proxies = [Proxy(server.url, rng).__enter__() for _ in range(2)]
        self.workers = [self._hire(number) for number in range(WORKERS)]
        self.producers: list[Hand] = []

    def _hire(self, number: int) -> Hand:
        # The first two come through proxies; one is left that no fault of the network concerns.
        place = self.trial.place.through(self.proxies[number].url) if number < 2 else self.trial.place
        return self.trial.hand(work, place=place)

    def replace_the_dead(self) -> None:
        for number, hand in enumerate(self.workers):
            if not hand.alive:
                hand.kill()
                self.workers[number] = self._hire(number)

    def produce(self, count: int, seconds: float) -> None:
        for number in range(PRODUCERS):
            batches = list(self.trial.batches(self.trial.some(count // PRODUCERS)))
            if not number:
                batches[len(batches) // 3].append(self.trial.poison())
            place = self.trial.place.through(self.proxies[number].url)
            pause = seconds / len(batches)
            self.producers.append(self.trial.hand(produce, batches, pause, place=place))

    # What goes wrong

    def kill_a_worker(self) -> None:
        self.rng.choice(self.workers).kill()

    def stop_a_worker(self) -> None:
        """Until it has been taken over."""
        hand = self.rng.choice(self.workers)
        hand.signal(signal.SIGSTOP)
        time.sleep(1.3)
        hand.signal(signal.SIGCONT)

    def end_a_worker(self) -> None:
        hand = self.rng.choice(self.workers)
        hand.signal(signal.SIGTERM)

    def cut_all(self) -> None:
        for proxy in self.proxies:
            proxy.cut()

    def cut_replies(self) -> None:
        self._for_a_while("cut_chance", 0.1)

    def delay_replies(self) -> None:
        self._for_a_while("delay", 0.1)

    def half_open(self) -> None:
        self.rng.choice(self.proxies).half_open()

    def kill_the_server(self) -> None:
        self.server.kill()
        self.server.start()

    def fill_the_server(self) -> None:
        """Nothing but what completes is accepted for a while."""
        with self.server.client() as client:
            client.config_set("maxmemory", 1)
            time.sleep(0.3)
            client.config_set("maxmemory", 0)

    def kill_connections(self) -> None:
        with self.server.client() as client:
            for row in client.client_list():
                if row["cmd"] == "xreadgroup":
                    client.client_kill_filter(_id=row["id"])

    def _for_a_while(self, what: str, value: float) -> None:
        for proxy in self.proxies:
            setattr(proxy, what, value)
        time.sleep(0.5)
        for proxy in self.proxies:
            setattr(proxy, what, 0.0)

    @property
    def faults(self) -> list[Callable[[], None]]:
        return [
            self.kill_a_worker,
            self.kill_a_worker,
            self.stop_a_worker,
            self.end_a_worker,
            self.cut_all,
            self.cut_replies,
            self.delay_replies,
            self.half_open,
            self.kill_the_server,
            self.fill_the_server,
            self.kill_connections,
        ]

    def let_all_go_wrong(self) -> int:
        """Every fault at least once, in any order, until all is published; answers how many."""
        number, due = 0, list[Callable[[], None]]()
        while due or not number or any(hand.alive for hand in self.producers):
            if not due:
                due = self.rng.sample(self.faults, len(self.faults))
            due.pop()()
            number += 1
            time.sleep(self.rng.uniform(0, 0.3))
            self.replace_the_dead()
            if not any(hand.alive for hand in self.producers) and number >= len(self.faults):
                break
        return number

    def settle(self) -> None:
        """Nothing goes wrong any more, but for what is poisonous."""

        def at_rest() -> bool:
            self.replace_the_dead()
            return not self.trial.rest(patience=0.2)

        eventually(at_rest, "all to end", 120)

    def close(self) -> None:
        for proxy in self.proxies:
            proxy.__exit__(None, None, None)


def test_the_mix(
    trial: Callable[..., Trial],
    private_server: Callable[..., ServerProcess],
    rng: random.Random,
    pytestconfig: pytest.Config,
) -> None:
    commands = int(pytestconfig.getoption("--history-commands"))
    until = time.monotonic() + 60 * pytestconfig.getoption("--history-minutes")
    while True:
        seed = rng.randrange(2**32)
        server = private_server(aof=True)
        mix = Mix(trial(server.url, jumps=str(seed), **IMPATIENT), server, random.Random(seed))
        try:
            mix.produce(commands, seconds=max(4, commands / 1000))
            faults = mix.let_all_go_wrong()
            assert [hand.process.exitcode for hand in mix.producers] == [0] * PRODUCERS
            mix.settle()
            verdict = mix.trial.judge(f"the mix, {faults} faults")
        finally:
            mix.close()
        assert verdict.counts["accepted"] == commands + 1 - verdict.counts["refused"]
        assert verdict.counts["lost by the server"] == verdict.counts["repeated by the server"] == 0
        server.stop()
        if time.monotonic() >= until:
            return
