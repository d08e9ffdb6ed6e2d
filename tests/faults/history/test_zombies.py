"""Workers that are stopped until they have been taken over, and then go on: nobody listens to them."""

import signal
from collections.abc import Callable

import pytest

import riptide
from tests.servers import Server
from tests.support.crew import work
from tests.support.recorded import Bundle, Step
from tests.support.standstill import stands_still, stop_after_reading
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
    one.wait_for_members(zombies)
    # They run for so long that all of them do when the zombies are stopped.
    steps = [riptide.Outgoing(Step(token=f"s{n}", plan=PLANS[n % 6], seconds=2)) for n in range(12)]
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
    eventually(lambda: any(r.get("reply") == -1 for r in one.records()), "a zombie to be told that it is one")
    one.publish([riptide.Outgoing(Bundle(token=f"c{n}"), tenant=f"t{n}") for n in range(40)])
    verdict = one.judge("zombies")
    assert verdict.counts["workers taken over"] >= len(zombies)  # the busy look dead at times
    assert verdict.counts["answers to the fenced off"] > 0
    assert verdict.counts["started again"] >= len(steps)


@pytest.mark.parametrize("reading", [1, 2], ids=["delivered", "put back"])
def test_what_was_read_before_a_standstill_is_not_started_after_it(
    reading: int, trial: Callable[..., Trial], valkey: Server
) -> None:
    """Another one has carried it out meanwhile. What was put back has been vouched for before that."""
    # A lease that no busy machine ends: what is read while it is in doubt is not started, but read again.
    one = trial(valkey.url, workers={"lease_seconds": 3.0})
    zombie = one.hand(stop_after_reading, "late", reading)
    plan = (*["again"] * (reading - 1), "done")
    one.publish([riptide.Outgoing(Step(token="late", plan=plan))])
    eventually(lambda: stands_still(zombie), "it to stand still")
    heir = one.hand(work)
    assert not one.rest(), "the heir carries it out"
    zombie.signal(signal.SIGCONT)
    heir.end()
    one.publish([riptide.Outgoing(Step(token=f"next{n}"), tenant=f"t{n}") for n in range(20)])
    verdict = one.judge("a standstill between reading and starting")
    starts = [(r["token"], r["pid"]) for r in one.records() if r["what"] == "start"]
    assert [pid for token, pid in starts if token == "late"] == [zombie.pid] * (reading - 1) + [heir.pid]
    assert starts[-1][1] == zombie.pid, "it goes on under another name"
    assert verdict.counts["zombies' starts"] == 0


def test_what_was_read_before_a_standstill_that_nobody_noticed_is_started(
    trial: Callable[..., Trial], valkey: Server
) -> None:
    """It may run elsewhere: it is looked for again when it is known that nobody has taken it over."""
    one = trial(valkey.url)
    worker = one.hand(stop_after_reading, "late", 1)
    one.publish([riptide.Outgoing(Step(token="late"))])
    eventually(lambda: stands_still(worker), "it to stand still")
    lease = one.place.settings().workers.lease_seconds
    eventually(lambda: all(silent > lease for silent in one.silence()), "the lease to be over")
    worker.signal(signal.SIGCONT)
    one.judge("a standstill that nobody noticed")
    starts = [(r["token"], r["attempt"]) for r in one.records() if r["what"] == "start"]
    assert starts == [("late", 1)]
    assert "recovered a lost delivery" in worker.log.read_text("utf-8")
