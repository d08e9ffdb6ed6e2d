"""Section `schedule`: entries of one's own, and what is said of wrong ones."""

import re
from pathlib import Path

import pytest

from riptide.config import ScheduleEntry, load
from riptide.errors import ConfigError

from .conftest import Write

PAGE = (Path(__file__).parents[3] / "docs/schedules.md").read_text()


def test_what_the_page_shows_loads(write: Write) -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    entries = load(write(shown), {}).settings.schedule.entries
    assert entries["nightly"].cron == "30 3 * * MON-FRI"
    assert (entries["often"].every, entries["closing"].monthly) == (300, 3600)
    assert entries["often"].body == {"name": "Ada"}


@pytest.mark.parametrize(
    ("text", "every"), [("90", 90), ("90s", 90), ("5 min", 300), ("5m", 300), ("6h", 21600), ("1d", 86400)]
)
def test_durations(text: str, every: int) -> None:
    assert ScheduleEntry.model_validate({"every": text, "command": "warm"}).every == every


def test_a_body_may_be_json(write: Write) -> None:
    text = """schedule: {entries: {a: {every: 1h, command: warm, body: '{"top": 3}'}}}"""
    assert load(write(text), {}).settings.schedule.entries["a"].body == {"top": 3}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{cron: '61 * * * *', command: x}",
            r"a\.cron: '61 \* \* \* \*' is not valid: bad minute; write an entry",
        ),
        ("{cron: '* * * * * *', command: x}", "five fields are needed"),
        ("{cron: '0 0 30 2 *', command: x}", "bad day-of-month"),
        ("{cron: '0 0 */20 * 1L', command: x}", "no such day comes within 50 years"),
        ("{every: 6 years, command: x}", "unknown unit; write s, min, h or d"),
        ("{every: 0, command: x}", r"a\.every: '0' is not valid; write an entry, as in"),
        ("{monthly: 28d, command: x}", r"a\.monthly: '28d' is not valid"),
        ("{every: 1, cron: '* * * * *', command: x}", "one of every, cron and monthly is needed"),
        ("{command: x}", "one of every, cron and monthly is needed"),
        ("{every: 1}", r"a\.command is missing; write an entry, as in"),
        ("{every: 1, command: x, comand: y}", r"a\.comand is unknown; write an entry, as in"),
        ("{every: 1, command: x, tenant: A}", r"a\.tenant: 'A' is not valid: tenant id"),
        ("{every: 1, command: x, body: '{'}", r"a\.body: '\{' is not valid: it is no JSON object"),
        ("{every: 1, command: x, body: [1]}", r"a\.body: "),
        ("5", r"a: '5' is not valid; write an entry, as in"),
    ],
)
def test_what_is_wrong_is_told(write: Write, entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(f"schedule: {{entries: {{a: {entry}}}}}"), {})


def test_names(write: Write) -> None:
    with pytest.raises(ConfigError, match="'A b' is no name"):
        load(write("schedule: {entries: {A b: {every: 1, command: x}}}"), {})
