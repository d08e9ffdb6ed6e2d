"""What the single commands ask of their bodies."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from commands import Invalidate, MalformedBody, RecordUsage, Restore, Warm
from commands._fields import MAX_AMOUNT
from riptide.names import MAX_KEY_BYTES

AMOUNTS = ["operation_count", "data_bytes", "compute_ms", "compute_time_ms", "storage_bytes"]


def usage(**fields: Any) -> RecordUsage:
    return RecordUsage.parse(1, json.dumps({"operation": "render", **fields}))


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize(
    "amount", [-1, MAX_AMOUNT + 1, 1.0, 0.5, 1e300, float("nan"), float("inf"), "1", True, None, [1]]
)
def test_an_amount_is_a_bounded_integer(field: str, amount: object) -> None:
    with pytest.raises(MalformedBody, match=field):
        usage(**{field: amount})


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize("amount", [0, MAX_AMOUNT])
def test_the_bounds_of_an_amount_are_within(field: str, amount: int) -> None:
    other = "data_bytes" if field == "operation_count" else "operation_count"
    assert getattr(usage(**{field: amount, other: 1}), field.replace("time_", "")) == amount


def test_a_record_that_counts_nothing_is_refused() -> None:
    with pytest.raises(MalformedBody, match="counts nothing"):
        usage(operation_count=0)
    assert usage(operation_count=0, compute_time_ms=1).compute_ms == 1


def test_older_names_of_usage_fields_are_read_and_the_present_ones_written() -> None:
    parsed = usage(compute_time_ms=7, timestamp=1_795_168_800_123)
    assert parsed == RecordUsage(operation="render", compute_ms=7, at=1_795_168_800_123)
    assert json.loads(parsed.body()) == {"operation": "render", "compute_ms": 7, "at": 1_795_168_800_123}


@pytest.mark.parametrize(("one", "other"), [("compute_ms", "compute_time_ms"), ("at", "timestamp")])
def test_both_names_at_once_are_refused(one: str, other: str) -> None:
    with pytest.raises(MalformedBody, match=other):
        usage(**{one: 1, other: 1})


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - hypothesis wants them naive
    st.integers(-14 * 60, 14 * 60),
)
def test_a_time_may_be_written_in_iso_8601(naive: datetime, minutes: int) -> None:
    moment = naive.replace(
        microsecond=naive.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(minutes=minutes))
    )
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert usage(at=moment.isoformat()).at == milliseconds
    assert usage(at=milliseconds).at == milliseconds


@pytest.mark.parametrize(
    "moment",
    ["", "now", "2026-11-20T12:00:00", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", -1, 1.5, True, 10**15],
)
def test_a_time_without_a_clear_meaning_is_refused(moment: object) -> None:
    with pytest.raises(MalformedBody, match="at: "):
        usage(at=moment)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"namespace": "pages"},
        {"keys": []},
        {"keys": ["a"], "source": "popular"},
        {"keys": [""]},
        {"keys": ["a" * (MAX_KEY_BYTES + 1)]},
        {"keys": ["é" * MAX_KEY_BYTES]},
        {"keys": ["a"] * 10_001},
        {"keys": "a"},
        {"source": "everything"},
        {"source": "popular", "top": 0},
        {"keys": ["a"], "ttl": 0},
        {"keys": ["a"], "ttl": 1.5},
        {"keys": ["a"], "refresh": 1},
        {"keys": ["a"], "loader": "os; rm"},
    ],
)
def test_what_cannot_be_warmed_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedBody):
        Warm.parse(1, json.dumps(body))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all": False},
        {"keys": []},
        {"tags": []},
        {"namespace": "pages", "keys": []},
        {"namespace": "pages", "all": True},
        {"keys": ["a"], "all": True},
    ],
)
def test_an_invalidation_says_what_it_means(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedBody):
        Invalidate.parse(1, json.dumps(body))


def test_a_namespace_goes_as_a_whole_only_if_it_is_named() -> None:
    assert Invalidate(namespace="pages").whole_namespace
    assert not Invalidate(namespace="pages", keys=["a"]).whole_namespace
    assert not Invalidate(tags=["a"]).whole_namespace
    assert not Invalidate(all=True).whole_namespace


@pytest.mark.parametrize(
    "name", ["", "a}b", "{a}", "a:b", "*", "a\n", "a" * 10_000, "ä", "A", ".a", "-a", " a", "a\x00"]
)
def test_names_that_could_reach_other_keys_are_refused(name: str) -> None:
    for build in (
        lambda: Warm(namespace=name, keys=["a"]),
        lambda: Invalidate(namespace=name),
        lambda: Restore(checkpoint="c", tenants=[name]),
    ):
        with pytest.raises(ValidationError):
            build()


def test_a_command_cannot_be_changed() -> None:
    command = Warm(keys=["a", "b"])
    assert command.keys == ("a", "b")
    with pytest.raises(ValidationError, match="frozen"):
        command.ttl = 5  # type: ignore[misc]
    assert hash(command) == hash(Warm(keys=["a", "b"]))
