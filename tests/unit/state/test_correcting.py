"""How sums of usage are put right, against a plain model."""

import random

from riptide.state.checkpoints.sums import Cut, Fields, Home, Homes, home_rows, period_named, read_home_rows
from riptide.state.restore.correcting import correction

MONTH, HOUR = "2026-11", "2026-11-20T23"
_CUT = Cut("5-0", frozenset({"3-0"}))


def home(sums: dict[str, Fields] | None = None, seals: dict[str, int] | None = None) -> Home:
    return Home("10", "acme", _CUT, seals or {}, sums or {})


def corrected(stored: Home, later: dict[str, dict[str, int]], live: Home) -> dict[str, dict[str, int]]:
    """What the server says afterwards."""
    found = correction(stored, later, live, 0)
    periods = {*live.sums, *found.sums}
    return {
        period: {
            name: live.sums.get(period, {}).get(name, 0) + found.sums.get(period, {}).get(name, 0)
            for name in {*live.sums.get(period, {}), *found.sums.get(period, {})}
        }
        for period in periods
    }


def test_into_an_empty_server() -> None:
    stored = home({MONTH: {"0|a|operations": 5, "1|a|operations": 2}}, {MONTH: 1})
    later = {MONTH: {"a|operations": 10}, HOUR: {"b|data_bytes": 3}}
    assert corrected(stored, later, home()) == {
        MONTH: {"0|a|operations": 5, "1|a|operations": 12},
        HOUR: {"1|b|data_bytes": 3},
    }
    assert correction(stored, later, home(), 0).seals == {MONTH: (0, 1)}


def test_what_is_right_stays_as_it_is() -> None:
    live = home({MONTH: {"0|a|operations": 5, "1|a|operations": 12}}, {MONTH: 1})
    stored, later = home({MONTH: {"0|a|operations": 4}}), {MONTH: {"a|operations": 13}}
    assert not correction(stored, later, live, 0).is_needed


def test_what_was_sealed_since_and_is_lost_comes_back_where_it_was_known() -> None:
    stored, later = home({MONTH: {"0|a|operations": 4}}), {MONTH: {"a|operations": 13}}
    assert corrected(stored, later, home(seals={MONTH: 1})) == {
        MONTH: {"0|a|operations": 4, "1|a|operations": 13}
    }


def test_what_is_over_is_left_alone() -> None:
    stored = home({HOUR: {"0|a|operations": 4}}, {MONTH: 1})
    after = period_named(HOUR).expires
    assert list(correction(stored, {}, home(), after - 1).sums) == [HOUR]
    assert not correction(stored, {}, home(), after).sums


def test_whatever_is_missing_the_sums_are_right(rng: random.Random) -> None:
    for _ in range(300):
        names = [f"{operation}|operations" for operation in "ab"]
        stored = home({MONTH: {f"0|{name}": rng.randint(0, 9) for name in names}}, {MONTH: rng.randint(0, 1)})
        later = {MONTH: {name: rng.randint(1, 9) for name in names}}
        totals = {name: stored.sums[MONTH][f"0|{name}"] + later[MONTH][name] for name in names}
        live = home({MONTH: {f"1|{name}": rng.randint(0, later[MONTH][name]) for name in names}}, {MONTH: 1})
        after = corrected(stored, later, live)[MONTH]
        assert {name: sum(v for n, v in after.items() if n[2:] == name) for name in names} == totals


def test_homes_as_rows() -> None:
    homes = [home({MONTH: {"0|a|operations": 2**60}}, {MONTH: 1}), Home("10", "other", _CUT)]
    rows = [list(map(bytes, row)) for row in home_rows(homes)]
    assert list(read_home_rows(iter(rows))) == homes


def test_where_usage_is_is_collected() -> None:
    found = Homes()
    for period in (HOUR, MONTH, "seals", HOUR, "1999-01", "2026-01-02T03"):
        found.add(f"usage:{{10}}:acme:{period}")
    found.add("usage:{3}:a:seals")
    periods = ["1999-01", MONTH, "2026-01-02T03", HOUR]
    assert list(found.each()) == [("10", {"acme": periods}), ("3", {"a": []})]
    assert [period_named(name).name for name in periods] == periods


def test_what_is_kept_nowhere_else_stays() -> None:
    """Usage that was counted after the checkpoint, and has been trimmed without an archive."""
    live = home({MONTH: {"0|a|operations": 9, "0|b|operations": 1}})
    stored, later = home({MONTH: {"0|a|operations": 4, "0|b|operations": 3}}), {MONTH: {"a|operations": 2}}
    assert corrected(stored, later, live) == {MONTH: {"0|a|operations": 9, "0|b|operations": 3}}


def test_what_was_counted_as_others_is_not_counted_once_more() -> None:
    live = home({MONTH: {"0|a|operations": 4, "0|(others)|operations": 5}})
    stored, later = home({MONTH: {"0|a|operations": 4}}), {MONTH: {"b|operations": 2, "c|operations": 3}}
    assert not correction(stored, later, live, 0).is_needed
    assert corrected(stored, later, home())[MONTH] == {
        "0|a|operations": 4,
        "0|b|operations": 2,
        "0|c|operations": 3,
    }
