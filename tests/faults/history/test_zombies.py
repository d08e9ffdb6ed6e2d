"""Workers that are stopped until they have been taken over, and then go on: nobody listens to them."""

import signal
from collections.abc import Callable

import pytest

import riptide
from tests.servers import Server
from tests.support.crew import work
from tests.support.recorded import Bundle, Step
from tests.support.trial import Trial
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

#: What becomes of each at its first start, in the zombie, and at its second one, in the heir.
PLANS = [
    ("done",),
    ("value",),
    ("dead", "done"),
    ("again", "dead"),
    ("skip", "value"),
    ("done", "again", "dead"),
]


def test_zombies_acknowledge_nothing(trial: Callable[..., Trial], valkey: Server) -> None:
    """Two stopped in the middle of what they run; one heir. Then they go on, and new commands come."""
    one = trial(valkey.url)
    zombies = [one.hand(work) for _ in range(2)]
    steps = [riptide.Outgoing(Step(token=f"s{n}", plan=PLANS[n % 6], seconds=0.4)) for n in range(12)]
    one.publish(steps)
    eventually(lambda: one.count("start") >= len(steps), "all to be started")
    for zombie in zombies:
        zombie.signal(signal.SIGSTOP)
    unread = [riptide.Outgoing(Bundle(token=f"b{n}"), tenant=f"t{n}") for n in range(40)]
    one.publish(unread)  # their reads wait at the server still, and are given some of these
    heir = one.hand(work)
    assert not one.rest(), "the heir carries it all out"
    assert heir.alive
    for zombie in zombies:
        zombie.signal(signal.SIGCONT)
    eventually(lambda: one.count("end") > len(steps) + len(unread), "the zombies to say what they did")
    one.publish([riptide.Outgoing(Bundle(token=f"c{n}"), tenant=f"t{n}") for n in range(40)])
    verdict = one.judge("zombies")
    assert verdict.counts["workers taken over"] == len(zombies)
    assert verdict.counts["answers to the fenced off"] > 0
    assert verdict.counts["started again"] >= len(steps)
