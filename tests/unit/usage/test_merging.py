"""Merging changes no sum, however records are spread over tenants, hours and operations."""

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from commands import RecordUsage
from riptide.store.keys import Keys
from riptide.streams.effect import Hold
from riptide.streams.job import Job, parse_job
from riptide.streams.message import Entry, read
from riptide.tenants.usage.counting import Counting
from riptide.tenants.usage.merging import METRICS, merge
from riptide.tenants.usage.periods import HOUR_MS, hour
from tests.unit.commands.bodies import amounts

HOURS = st.integers(490_000, 490_800)  # a month and its neighbours
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "globex", "default"]),
        HOURS,
        st.sampled_from(["a", "b.c", "a/b"]),
        st.tuples(st.integers(1, 5), amounts, amounts, amounts),
    ),
    min_size=1,
    max_size=40,
)
Record = tuple[str, int, str, tuple[int, int, int, int]]


def job(number: int, record: Record) -> Job:
    tenant, of_hour, operation, (count, data, compute, storage) = record
    body = {
        "operation": operation,
        "operation_count": count,
        "data_bytes": data,
        "compute_ms": compute,
        "storage_bytes": storage,
        "at": of_hour * HOUR_MS,
    }
    fields = [b"tenant", tenant.encode(), b"body", json.dumps(body).encode()]
    entry = Entry("record_usage", "10", f"1795000000000-{number}", fields)
    made = parse_job(entry, read(entry, 2**20), RecordUsage, None)
    made.part = of_hour
    return made


@given(RECORDS)
def test_no_sum_changes(records: list[Record]) -> None:
    expected: Counter[tuple[str, str, str, str]] = Counter()
    for tenant, number, operation, several in records:
        for metric, amount in zip(METRICS, several, strict=True):
            for name in (hour(number).name, hour(number).month):
                expected[tenant, name, operation, metric] += amount
    merged = merge(job(n, record) for n, record in enumerate(records))
    found = Counter(
        {
            (tenant, period.name, operation, metric): amount
            for tenant, periods in merged.items()
            for period, sums in periods.items()
            for operation, several in sums.items()
            for metric, amount in zip(METRICS, several, strict=True)
        }
    )
    assert found == expected


@given(RECORDS)
def test_the_script_is_told_every_sum_under_its_key(records: list[Record]) -> None:
    keys = Keys()
    hold = Hold("10", "me", "fence", "stream", "retries", "bodies", keys)
    jobs = [job(n, record) for n, record in enumerate(records)]
    operation = Counting(keys).apply(hold, jobs)
    _, _, count, *rest = operation.args
    assert isinstance(count, int)
    names, args = rest[:count], rest[count:]
    assert list(names[:5]) == ["fence", "stream", "retries", "bodies", keys.gone("10")]
    told = iter(args[4 + len(jobs) :])
    at, total = 5, 0
    for _ in range(int(next(told))):
        _digest, purged, dropped, periods = (next(told) for _ in range(4))
        assert (purged, dropped) == (0, 0)
        assert str(names[at]).endswith(":seals")
        for n in range(int(periods)):
            month, _expires = next(told), next(told)
            assert str(names[at + 1 + n]).rpartition(":")[2].startswith(str(month))
            for _ in range(int(next(told))):
                _name, amount = next(told), next(told)
                total += int(amount)
        at += 1 + int(periods)
    assert at == count
    assert next(told, None) is None
    assert total == 2 * sum(sum(several) for *_, several in records)
