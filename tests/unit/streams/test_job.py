"""How a job ends, decided without a server: outcomes, backoff, what is told of an error."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.config import WorkersSettings
from riptide.errors import Dead, LoaderRefused, Retry, Skip
from riptide.streams.job import (
    DONE,
    Again,
    Buried,
    Done,
    Job,
    Skipped,
    backoff,
    describe,
    format_trace,
    outcome_of,
)
from riptide.streams.message import Entry, read
from tests.support.commands import Noop

POLICY = WorkersSettings(max_attempts=5, retry_base_seconds=2, retry_cap_seconds=100)


def job(attempt: int = 1) -> Job:
    entry = Entry("noop", "10", "1-1", [b"body", b"{}"], attempt - 1)
    return Job(entry, read(entry, 100), Noop())


def outcome(error: Exception | None, attempt: int = 1, policy: WorkersSettings = POLICY) -> Any:
    return outcome_of(job(attempt), error, policy, random.Random(1))


def test_outcomes() -> None:
    assert outcome(None) is DONE
    assert outcome(Skip("s")) == Skipped("Skip: s")
    assert outcome(Retry("r", delay=7)) == Again(7, "Retry: r")
    assert outcome(Retry("r", delay=0)) == Again(0, "Retry: r")
    for error in (Dead("d"), LoaderRefused("d")):
        buried = outcome(error)
        assert (buried.reason, buried.error) == ("refused", f"{type(error).__name__}: d")
    assert isinstance(outcome(ValueError("v")), Again)
    assert isinstance(outcome(ValueError("v"), attempt=4), Again)
    last = outcome(ValueError("v"), attempt=5)
    assert isinstance(last, Buried)
    assert (last.reason, last.error) == ("failed", "ValueError: v (attempt 5 of 5)")
    assert outcome(Retry("r", delay=1), attempt=5).reason == "failed", "asking for more does not give more"
    assert isinstance(outcome(Skip("s"), attempt=5), Skipped)


def test_a_result_is_kept_as_json() -> None:
    done = job()
    done.result = {"a": [1, None, "ä"]}
    assert outcome_of(done, None, POLICY, random.Random()) == Done('{"a": [1, null, "\\u00e4"]}')
    done.result = False
    assert outcome_of(done, None, POLICY, random.Random()) == Done("false"), "false is a value too"


@given(st.integers(1, 10**6), st.floats(0.001, 1000), st.floats(1, 1000), st.integers(0, 2**32))
def test_backoff_is_bounded(attempt: int, base: float, factor: float, seed: int) -> None:
    policy = WorkersSettings(retry_base_seconds=base, retry_cap_seconds=base * factor)
    delay = backoff(attempt, policy, random.Random(seed))
    assert 0 <= delay <= policy.retry_cap_seconds
    assert delay <= base * 2 ** min(attempt - 1, 1000)


def test_backoff_grows_and_is_jittered_over_the_whole_range() -> None:
    rng = random.Random(3)
    for attempt, ceiling in ((1, 2), (2, 4), (3, 8), (10, 100)):
        delays = [backoff(attempt, POLICY, rng) for _ in range(500)]
        assert min(delays) < ceiling * 0.05
        assert max(delays) > ceiling * 0.95


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.booleans()))
def test_any_delay_becomes_one_that_can_be_scheduled(delay: Any) -> None:
    again = outcome(Retry("r", delay=delay))
    assert isinstance(again, Again)
    assert math.isfinite(again.delay)
    assert 0 <= again.delay <= 366 * 86400


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error", [ValueError("x" * 10**6), ValueError("\udc80" * 5000), Unspeakable(), KeyboardInterrupt()]
)
def test_what_is_told_of_an_error_is_short_and_can_be_sent(error: BaseException) -> None:
    for text, limit in ((describe(error), 2000), (format_trace(error), 100_000)):
        assert text.encode()
        assert len(text) <= limit
    assert describe(error).startswith(type(error).__name__)
