"""Who gives way when all together hold too much."""

from hypothesis import given
from hypothesis import strategies as st

from riptide.cache.accounts.shares import Holding, excesses

holdings = st.lists(st.builds(Holding, st.integers(0, 10**9), st.integers(1, 10**6)), min_size=1, max_size=20)


def test_those_furthest_over_their_share_give_way() -> None:
    equal = [Holding(100, 1), Holding(10, 1), Holding(60, 1)]
    assert excesses(equal, 170) == [0, 0, 0]
    assert excesses(equal, 150) == [20, 0, 0]
    assert excesses(equal, 110) == [50, 0, 10]
    assert excesses(equal, 0) == [100, 10, 60]


def test_who_may_hold_more_keeps_more() -> None:
    assert excesses([Holding(90, 3), Holding(90, 1)], 120) == [0, 60]
    assert excesses([Holding(90, 2), Holding(90, 1)], 90) == [30, 60]


@given(holdings, st.integers(0, 10**10))
def test_what_is_left_fits_and_is_not_less_than_it_need_be(held: list[Holding], most: int) -> None:
    gone = excesses(held, most)
    left = sum(holding.bytes - excess for holding, excess in zip(held, gone, strict=True))
    assert all(0 <= excess <= holding.bytes for holding, excess in zip(held, gone, strict=True))
    total = sum(holding.bytes for holding in held)
    assert left <= most or (gone == [0] * len(held) and total <= most)
    assert left >= min(total, most) - len(held), "all but rounding stays"
