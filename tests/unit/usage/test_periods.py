"""Hours and months: names, bounds, and how long they are kept."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.errors import InvalidInput
from riptide.tenants.usage.periods import (
    END_MS,
    HOUR_MS,
    HOURS_KEPT,
    MONTHS_KEPT,
    hour,
    hours_of,
    month,
    month_of,
)


@given(st.integers(0, END_MS - 1))
def test_every_moment_lies_in_its_hour_and_month(milliseconds: int) -> None:
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    of_hour, of_month = hour(milliseconds // HOUR_MS), month_of(milliseconds)
    assert of_hour.name == moment.strftime("%Y-%m-%dT%H").rjust(13, "0")
    assert of_hour.month == of_month.name == of_hour.name[:7]
    for period in (of_hour, of_month):
        assert period.start * 1000 <= milliseconds < period.end * 1000
    assert of_month.start <= of_hour.start
    assert of_hour.end <= of_month.end
    assert of_hour.expires == of_hour.end + HOURS_KEPT * 86_400
    assert of_month.expires == of_month.end + MONTHS_KEPT * 86_400


@given(st.integers(1970, 9998), st.integers(1, 12))
def test_a_month_has_its_hours(year: int, number: int) -> None:
    chosen = month(f"{year}-{number:02}")
    hours = list(hours_of(chosen))
    assert len(hours) in {24 * days for days in (28, 29, 30, 31)}
    assert {of_hour.month for of_hour in hours} == {chosen.name}


@pytest.mark.parametrize(
    "name", ["2026-00", "2026-13", "1969-12", "9999-01", "26-01", "2026-1", None, 202611, ["2026-11"]]
)
def test_what_is_no_month(name: Any) -> None:
    with pytest.raises(InvalidInput):
        month(name)
