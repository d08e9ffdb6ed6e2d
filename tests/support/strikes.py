"""Strikes at every call that the victim of a scenario makes.

A scenario runs once to count the calls of its one victim, and then once for every call and every kind of
strike, each time under a prefix of its own.
"""

import asyncio
from pathlib import Path

from tests.servers import Server
from tests.support.calls import When
from tests.support.scenario import Scenario
from tests.support.stage import Outcome, Stage

STRIKES: list[tuple[str, When]] = [
    ("kill", "before"),
    ("kill", "after"),
    ("cut", "before"),
    ("cut", "after"),
    ("cut", "amid"),
]
_AT_ONCE = 20  # they wait for leases most of the time
_COUNTS = 6  # runs without a strike until one has come to what it is about: a busy machine may miss it


async def strike_everywhere(scenario: Scenario, server: Server, directory: Path) -> None:
    """Print how many strikes fell; fail on whatever went wrong after one."""
    for run in range(_COUNTS):  # at first the server has to be taught the scripts
        counted = await Stage(scenario, server, directory / f"count{run}").run(-1, "cut", "before")
        assert not counted.bad, counted
        if run and counted.shown:
            break
    assert counted.verdict.counts["accepted"] == counted.verdict.counts["commands"] > 0
    assert counted.shown, counted
    gate = asyncio.Semaphore(_AT_ONCE)

    async def strike(number: int, how: str, when: When) -> Outcome:
        async with gate:
            stage = Stage(scenario, server, directory / f"{how}-{when}-{number}")
            return await stage.run(number, how, when)

    asked = [(n, how, when) for n in range(len(counted.calls)) for how, when in STRIKES]
    outcomes = await asyncio.gather(*(strike(*one) for one in asked))
    struck = sum(outcome.struck for outcome in outcomes)
    print(f"{scenario.name}: calls {counted.calls}; {struck} of {len(asked)} strikes fell")  # noqa: T201
    bad = [
        f"{how} {when} call {n} ({outcome.calls[: n + 1][-1:]}): {outcome.verdict} {outcome.lacks}"
        for (n, how, when), outcome in zip(asked, outcomes, strict=True)
        if outcome.bad
    ]
    assert not bad, "\n".join(bad)
    assert struck >= len(asked) * 0.6
