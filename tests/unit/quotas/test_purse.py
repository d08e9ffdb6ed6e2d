"""What a lease asks for, spends and loses."""

import pytest

from riptide.tenants.quotas.decision import Decision, Standing
from riptide.tenants.quotas.purse import LIFE_SECONDS, Purse
from riptide.tenants.quotas.script import Answer

RATE = "operations_per_minute"
GRANTED = Decision("acme", allowed=True)


class Time:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def purse(time: Time) -> Purse:
    return Purse(RATE, time)


def test_it_spends_what_it_has_while_it_may(purse: Purse, time: Time) -> None:
    assert purse.spend(1) is None
    _, _, asked_at = purse.want(1)
    time.now += 0.5  # the answer takes its time, and counts from when it was asked for
    purse.fill(Answer(GRANTED, 5), 1, asked_at)
    assert purse.spend(3) is GRANTED
    assert purse.spend(2) is None
    assert purse.spend(1) is GRANTED
    assert purse.spend(1) is None
    purse.fill(Answer(GRANTED, 5), 1, asked_at)
    time.now = asked_at + LIFE_SECONDS
    assert purse.spend(1) is None


def test_it_asks_for_what_was_needed(purse: Purse, time: Time) -> None:
    assert purse.want(3)[0] == 3
    purse.fill(Answer(GRANTED, 100), 1, time.now)
    assert purse.spend(49)
    time.now += LIFE_SECONDS
    assert purse.want(1)[0] == 50  # as much as in the last one
    time.now += 9 * LIFE_SECONDS
    assert purse.want(1)[0] == 5
    time.now += 1000
    assert purse.want(1)[0] == 1


def test_it_grows_by_and_by(purse: Purse, time: Time) -> None:
    purse.fill(Answer(GRANTED, 1), 1, time.now)
    wanted = []
    for _ in range(4):
        time.now += 0.0001
        wanted.append(purse.want(1)[0])
        purse.fill(Answer(GRANTED, wanted[-1]), 1, time.now)
        purse.spend(wanted[-1] - 1)
    assert wanted == [8, 64, 512, 4096]


def test_a_refusal_is_remembered_for_as_much_or_more(purse: Purse, time: Time) -> None:
    refused = Decision("acme", allowed=False, resources={RATE: Standing(9, 7, 0.25)}, violated=(RATE,))
    purse.fill(Answer(refused), 3, time.now)
    assert (purse.spend(3), purse.spend(4), purse.spend(2)) == (refused, refused, None)
    assert purse.want(2)[1] == 2  # told once
    assert purse.want(2)[1] == 0
    time.now += 0.25
    assert purse.spend(3) is None


@pytest.mark.parametrize(
    "decision",
    [Decision("acme", allowed=False, status="suspended"), Decision("acme", allowed=False, degraded=True)],
)
def test_what_refuses_everything_is_remembered_for_everything(
    purse: Purse, time: Time, decision: Decision
) -> None:
    purse.fill(Answer(decision), 100, time.now)
    assert purse.spend(1) is decision
    time.now += LIFE_SECONDS
    assert purse.spend(1) is None


def test_what_is_not_counted_is_not_used_up(purse: Purse, time: Time) -> None:
    open_in_outage = Decision("acme", allowed=True, degraded=True)
    _, _, asked_at = purse.want(1)
    time.now += 10 * LIFE_SECONDS  # until the server was given up
    purse.fill(Answer(open_in_outage), 1, asked_at)
    assert all(purse.spend(2**40) is open_in_outage for _ in range(1000))
    time.now += LIFE_SECONDS
    assert purse.spend(1) is None
