"""A worker is killed before every single call by which it joins, when it starts and when it goes on under a
new name. Nothing of it stays once others have found it dead."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers import Server
from tests.support.calls import CallProxy
from tests.support.crew import KINDS, Hand, work
from tests.support.leaks import wait_for_no_leaks
from tests.support.observer import Call
from tests.support.trial import Trial
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

AT_ONCE = 8
#: A heartbeat, a fence and then groups in each partition; one more is made in any case.
CALLS = 1 + 16 + 16 + 1


def consumer_in(call: Call) -> str | None:
    """Who joins, or beats, by this call."""
    if call.name == "beat.lua":
        return call.args[0]
    if call.name in {"raise_fence.lua", "ensure_groups.lua"}:
        return call.keys[0].rpartition(":")[2]
    return None


class Victim:
    """A worker that is killed before its n-th call, of those by which it joins: at all, or when it is renewed
    after it was taken over."""

    def __init__(self, one: Trial, server: Server, *, renewed: bool, number: int) -> None:
        self._renewed = renewed
        self._names: list[str] = []
        self._reads = False
        self._members = one.members
        self._proxy = CallProxy(server.url, self._counts)
        self._hand = Hand(work, one.place.through(self._proxy.url), one.recorder)
        self._proxy.strike_at(number, "before", self._hand.kill, last=True)

    def _counts(self, call: Call) -> bool:
        self._reads |= call.name == "XREADGROUP"
        name = consumer_in(call)
        if name is None:
            return False
        if name not in self._names:
            self._names.append(name)
        return name != self._names[0] or not self._renewed

    def live_and_die(self) -> None:
        with self._proxy, self._hand:
            struck = self._proxy.struck
            eventually(lambda: self._reads or struck.is_set(), "it to have joined")
            if self._renewed and not struck.is_set():  # on a busy machine it looks dead at times
                self._be_taken_over()
            eventually(struck.is_set, "the strike")

    def _be_taken_over(self) -> None:
        self._hand.signal(signal.SIGSTOP)
        eventually(lambda: self._names[0] not in self._members(), "it to be taken over")
        self._hand.signal(signal.SIGCONT)


@pytest.mark.parametrize("renewed", [False, True], ids=["at its start", "under a new name"])
def test_who_dies_while_it_joins_leaves_nothing(
    renewed: bool, trial: Callable[..., Trial], valkey: Server
) -> None:
    one = trial(valkey.url)
    survivor = one.hand(work)
    one.wait_for_members([survivor])
    victims = [Victim(one, valkey, renewed=renewed, number=number) for number in range(CALLS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Victim.live_and_die, victims))
    one.wait_for_members([survivor])
    wait_for_no_leaks(one.client, one.place.prefix, kinds=len(KINDS), members=1)
