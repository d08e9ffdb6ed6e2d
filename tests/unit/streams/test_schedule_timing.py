"""When a schedule is due: slots of intervals, months and cron expressions, from any moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.config import ScheduleEntry
from riptide.streams.schedule.timing import (
    NEVER,
    Cron,
    Every,
    Monthly,
    Timing,
    month_before,
    slot_text,
    timing_of,
)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("timing", "now", "newest", "following"),
    [
        (Every(300), "2026-11-20T12:07:31", "2026-11-20T12:05Z", "2026-11-20T12:10Z"),
        (Every(300), "2026-11-20T12:05:00", "2026-11-20T12:05Z", "2026-11-20T12:10Z"),
        (Every(6 * 3600), "2026-11-20T05:59:59.999", "2026-11-20T00:00Z", "2026-11-20T06:00Z"),
        (Every(7), "1970-01-01T00:00:06", "1970-01-01T00:00Z", "1970-01-01T00:00:07Z"),
        (Monthly(0), "2026-11-30T23:59:59.999", "2026-11-01T00:00Z", "2026-12-01T00:00Z"),
        (Monthly(3600), "2026-12-01T00:59:59.999", "2026-11-01T01:00Z", "2026-12-01T01:00Z"),
        (Monthly(3600), "2026-12-01T01:00:00", "2026-12-01T01:00Z", "2027-01-01T01:00Z"),
        (Monthly(3600), "2028-02-29T12:00:00", "2028-02-01T01:00Z", "2028-03-01T01:00Z"),
        (Cron("30 3 * * *"), "2026-11-20T03:30:00", "2026-11-20T03:30Z", "2026-11-21T03:30Z"),
        (Cron("30 3 * * *"), "2026-11-20T03:29:59.999", "2026-11-19T03:30Z", "2026-11-20T03:30Z"),
        (Cron("30 3 * * *"), "2026-11-20T03:30:00.001", "2026-11-20T03:30Z", "2026-11-21T03:30Z"),
        (Cron("0 0 29 2 *"), "2026-11-20T03:30:00", "2024-02-29T00:00Z", "2028-02-29T00:00Z"),
        # Either of the two, as every cron has it, where neither is a star.
        (Cron("0 0 13 * FRI"), "2026-11-20T03:30:00", "2026-11-20T00:00Z", "2026-11-27T00:00Z"),
        (Cron("*/20 9-17 * * MON-FRI"), "2026-11-20T17:45:00", "2026-11-20T17:40Z", "2026-11-23T09:00Z"),
    ],
)
def test_slots(timing: Timing, now: str, newest: str, following: str) -> None:
    found = timing.newest(ms(now))
    assert found is not None
    assert slot_text(found) == newest
    assert slot_text(timing.following(ms(now))) == following


timings = st.one_of(
    st.integers(1, 400_000).map(Every),
    st.integers(0, 27 * 86400).map(Monthly),
    st.sampled_from(["* * * * *", "*/7 * * * *", "5 4 * * 1", "0 0 1 1 *", "59 23 L * *"]).map(Cron),
)
moments = st.integers(ms("1971-01-01"), ms("2100-01-01"))


@given(timings, moments)
def test_slots_follow_each_other_without_a_gap(timing: Timing, now: int) -> None:
    newest, following = timing.newest(now), timing.following(now)
    assert newest is not None
    assert newest <= now < following
    assert timing.following(newest) == following
    assert timing.newest(following - 1) == newest
    assert timing.newest(following) == following
    assert slot_text(newest) != slot_text(following)


def test_what_never_comes_again() -> None:
    rare = Cron("0 0 * 2 MON#5")  # a fifth Monday of a February
    assert slot_text(rare.following(ms("2026-01-01"))) == "2044-02-29T00:00Z"
    impossible = Cron("0 0 */20 * 1L")  # the 1st or 21st, and the last Monday
    assert impossible.following(ms("2026-01-01")) == NEVER
    assert impossible.newest(ms("2026-01-01")) is None


@pytest.mark.parametrize(("slot", "month"), [("2026-11-01T01:00:00", "2026-10"), ("2027-01-27", "2026-12")])
def test_the_month_that_ended(slot: str, month: str) -> None:
    assert month_before(ms(slot)) == month


def test_the_rule_of_an_entry() -> None:
    assert timing_of(ScheduleEntry(command="warm", every=60, body={})) == Every(60)
    assert timing_of(ScheduleEntry(command="warm", monthly=0, body={})) == Monthly(0)
    assert timing_of(ScheduleEntry(command="warm", cron="0 0 * * *", body={})) == Cron("0 0 * * *")
    day = timedelta(days=1) // timedelta(seconds=1)
    assert str(Every(day)) == "every 1 d"
    assert [str(Every(n)) for n in (3600, 90, 300)] == ["every 1 h", "every 90 s", "every 5 min"]
