"""A process is killed, or its connection cut, before and after every single call that it makes to Redis."""

from pathlib import Path

import pytest

from riptide.store.keys import partition_of
from riptide.store.script import Script
from tests.servers import Server
from tests.support.crew import KINDS
from tests.support.observer import Call
from tests.support.scenario import PARTITION, Scenario, concerns
from tests.support.stage import Stage
from tests.support.strikes import strike_everywhere

# Some hundred processes are started, as fast as the machine can.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

LOUD, NEAR = [name for name in (f"t{n}" for n in range(200)) if partition_of(name) == PARTITION][:2]


def untrimmed(stage: Stage) -> str:
    """All that has ended is older than the window of nothing: it goes."""
    streams = [stage.keys.commands(kind, PARTITION) for kind in KINDS]
    held = {key: length for key in streams if (length := stage.client.xlen(key))}
    return f"not trimmed: {held}" if held else ""


def moved(stage: Stage) -> bool:
    return bool(stage.client.xinfo_stream(stage.keys.slow("step", PARTITION))["entries-added"])


def concerns_work(call: Call) -> bool:
    """Coming and going is struck at in the other scenarios."""
    return concerns(call) and call.name not in {"raise_fence.lua", "ensure_groups.lua", "leave.lua"}


SCENARIOS = [
    Scenario("publish", plans=[("done",)], bundles=3, victim="producer"),
    Scenario("consume and complete", plans=[("done",), ("value",), ("skip",)], bundles=4),
    Scenario("retry", plans=[("again", "done"), ("error", "value")], counts=concerns_work),
    Scenario("bury", plans=[("dead",), ("again", "dead"), ("error", "error", "error")], counts=concerns_work),
    Scenario("hand back", plans=[("done",)] * 3, seconds=[0.2], ends=True),
    Scenario("take over", plans=[("done",), ("again", "done"), ("dead",)], bundles=2, held_by="dead"),
    Scenario(
        "delay",
        plans=[("done",), ("again", "done")],
        delay=0.5,
        counts=concerns_work,
        shows=lambda stage: {"defer.lua", "promote.lua"} <= set(stage.proxy.calls),
    ),
    Scenario("cancel", plans=[("done",)] * 2, delay=3600, late=True, victim="canceller"),
    Scenario(
        # At the first upkeep, after a second, some have ended, some run and some are unread.
        "trim",
        plans=[("done",)] * 4,
        seconds=[0, 1.1, 1.1, 0],
        bundles=12,
        ballast=1500,
        late=True,
        settings={"workers": {"concurrency": 2}, "streams": {"replay_window_seconds": 0.001}},
        counts=concerns_work,
        lacks=untrimmed,
    ),
    Scenario(
        "move",
        plans=[("done",), ("again", "done"), ("dead",), ("done",)],
        seconds=[0.12, 0.12, 0.12, 0],
        tenants=[LOUD, LOUD, LOUD, NEAR],
        settings={"tenant": {"enabled": True}, "workers": {"concurrency": 2}},
        counts=concerns_work,
        shows=moved,
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_every_call(scenario: Scenario, valkey: Server, tmp_path: Path) -> None:
    await strike_everywhere(scenario, valkey, tmp_path)


async def test_an_answer_about_orphans_is_lost(valkey: Server, tmp_path: Path) -> None:
    """They are taken over by a sweep, which nobody repeats."""

    def takes_over(call: Call) -> bool:
        return concerns(call) and call.name == "take_over.lua"

    scenario = Scenario("orphans", plans=[("done",)] * 2, held_by="vanished", counts=takes_over)
    stage = Stage(scenario, valkey, tmp_path)
    stage.client.script_load(Script.load("riptide.streams", "take_over.lua").source)
    outcome = await stage.run(0, "cut", "after")
    assert outcome.struck
    assert not outcome.bad, outcome
