"""A batch is divided into calls and rounds, bounded by number and by bytes."""

from hypothesis import given
from hypothesis import strategies as st

from riptide.streams.attempt import (
    _BYTES_PER_CALL,
    _BYTES_PER_ROUND,
    _PER_CALL,
    Composed,
    calls_of,
    rounds_of,
)

MiB = 1024**2


def composed(size: int, partition: str = "10") -> Composed:
    return Composed("noop", None, partition, [], size)


SIZES = st.one_of(st.integers(1, 1000), st.integers(1, 6 * MiB), st.just(MiB))


@given(st.lists(st.tuples(SIZES, st.sampled_from(["10", "3", "61"])), max_size=300))
def test_calls_and_rounds_are_bounded_and_lose_nothing(batch: list[tuple[int, str]]) -> None:
    calls = calls_of(composed(size, partition) for size, partition in batch)
    assert sorted(place for call in calls for place in call.places) == list(range(len(batch)))
    for call in calls:
        assert call.places == sorted(call.places)
        assert len(call.places) <= _PER_CALL
        assert call.bytes == sum(one.size for one in call.commands)
        assert call.bytes <= _BYTES_PER_CALL or len(call.places) == 1
        assert {one.partition for one in call.commands} == {call.partition}
        assert [(one.size, one.partition) for one in call.commands] == [batch[place] for place in call.places]
    rounds = rounds_of(calls)
    assert [call for calls in rounds for call in calls] == calls
    for together in rounds:
        assert together
        assert sum(call.bytes for call in together) <= _BYTES_PER_ROUND or len(together) == 1


def test_a_small_batch_is_one_call_per_partition_in_one_round() -> None:
    calls = calls_of([composed(100, partition) for partition in ("10", "3") * 250])
    assert [len(call.places) for call in calls] == [250, 250]
    assert len(rounds_of(calls)) == 1


def test_a_hundred_megabytes_go_in_small_calls() -> None:
    calls = calls_of([composed(MiB)] * 100)
    assert [len(call.places) for call in calls] == [4] * 25
    assert [len(together) for together in rounds_of(calls)] == [8, 8, 8, 1]
