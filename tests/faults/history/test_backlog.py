"""A backlog that waited for its workers, one of which is killed on the way: `--history-backlog 1000000`."""

import time
from collections.abc import Callable

import pytest

import riptide
from tests.servers import ServerProcess
from tests.support.crew import recorded_client, send, work
from tests.support.recorded import Bundle
from tests.support.trial import Trial
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

_BATCH = 1000


def test_a_backlog_is_carried_out(
    trial: Callable[..., Trial],
    private_server: Callable[..., ServerProcess],
    pytestconfig: pytest.Config,
) -> None:
    count = int(pytestconfig.getoption("--history-backlog"))
    one = trial(private_server(aof=False).url)
    with recorded_client(one.place) as rt:
        for start in range(0, count, _BATCH):
            batch = [
                riptide.Outgoing(Bundle(token=f"{n}"), tenant=f"t{n % 97}")
                for n in range(start, min(start + _BATCH, count))
            ]
            send(rt, one.recorder, batch)
    since = time.monotonic()
    workers = [one.hand(work) for _ in range(2)]
    eventually(lambda: one.count("effect") > count // 4, "a quarter", 600)
    workers[0].kill()
    one.hand(work)
    verdict = one.judge("a backlog", patience=1800)
    print(f"{count / (time.monotonic() - since):,.0f} commands/s, recorded and killed")  # noqa: T201 - a figure
    assert verdict.counts["effects"] >= count
