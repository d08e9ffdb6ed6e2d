"""Prices against a second computation, in fractions and unit by unit where it can be."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.errors import InvalidInput
from riptide.tenants.billing.computing import METRICS, adjustment_of, lines_of, total_of
from riptide.tenants.billing.terms import Term, terms_of
from riptide.tenants.plans import MICROS, Metric, Plan, Plans, Tier
from riptide.tenants.usage.periods import month

AUGUST = month("2026-08")
DAY_MS = 86_400_000


def plan(
    fee: str = "30.00", included: int = 100, tiers: tuple[Tier, ...] | None = None, currency: str = "EUR"
) -> Plan:
    steps = (Tier(price="1.00", per=10, up_to=50), Tier(price="0.50", per=10)) if tiers is None else tiers
    given = {"operations": steps} if steps else {}
    return Plan.model_validate(
        {
            "name": "A plan",
            "currency": currency,
            "base_fee": fee,
            "included": {"operations": included},
            "overage": given,
        }
    )


def term(days: int = 31, month_days: int = 31, priced: Plan | None = None) -> Term:
    return Term(plan="basic", days=days, month_days=month_days, priced=priced or plan())


def test_a_fee_and_nothing_above_what_is_included() -> None:
    (line,) = lines_of([term()], {"operations": 100})
    assert (line.metric, line.quantity, line.micros) == (None, 31, 30 * MICROS)


@pytest.mark.parametrize(
    ("used", "price"),
    [(101, "1.00"), (110, "1.00"), (111, "2.00"), (150, "5.00"), (151, "5.50"), (171, "6.50")],
)
def test_tiers_and_units_begun(used: int, price: str) -> None:
    _, line = lines_of([term()], {"operations": used})
    assert (line.metric, line.quantity) == ("operations", used - 100)
    assert Fraction(line.micros, MICROS) == Fraction(price)


def test_half_a_month_is_half_of_it() -> None:
    fee, line = lines_of([term(days=15, month_days=30)], {"operations": 60})
    assert fee.micros == 15 * MICROS
    assert (line.quantity, line.micros) == (10, 1 * MICROS)  # 50 are included


def test_two_plans_share_the_usage_by_days() -> None:
    terms = [term(10, 30), term(20, 30, plan("60.00", 0))]
    lines = lines_of(terms, {"operations": 100})
    assert [line.quantity for line in lines] == [10, 20, 67]  # 33 of the first are included
    assert [line.micros for line in lines] == [10 * MICROS, 40 * MICROS, 6 * MICROS]


def test_a_metric_without_prices_costs_nothing() -> None:
    assert len(lines_of([term(priced=plan(tiers=()))], {"operations": 10**15})) == 1


tiers = st.lists(
    st.tuples(st.integers(1, 300), st.integers(0, 5 * MICROS), st.integers(1, 40)), min_size=1, max_size=4
)


@st.composite
def priced_plans(draw: st.DrawFn) -> Plan:
    steps, up_to = [], 0
    drawn = draw(tiers)
    for number, (width, price, per) in enumerate(drawn):
        up_to += width
        last = number == len(drawn) - 1
        steps.append(Tier(price=price, per=per, up_to=None if last else up_to))
    return plan(f"{draw(st.integers(0, 999))}.37", draw(st.integers(0, 500)), tuple(steps))


@st.composite
def priced_terms(draw: st.DrawFn) -> list[Term]:
    month_days = draw(st.integers(28, 31))
    left = month_days
    terms = []
    for _ in range(draw(st.integers(1, 3))):
        if left:
            days = draw(st.integers(1, left))
            terms.append(term(days, month_days, draw(priced_plans())))
            left -= days
    return terms


def slowly(terms: list[Term], used: int) -> Fraction:
    """Each unit looked at by itself."""
    whole = sum(term.days for term in terms)
    total, done, days = Fraction(0), 0, 0
    for one in terms:
        days += one.days
        part = floor(Fraction(used * days, whole)) - done
        done += part
        total += cents(Fraction(one.priced.base_fee * one.days, one.month_days))
        above = part - floor(Fraction(one.priced.included["operations"] * one.days, one.month_days))
        total += cents(Fraction(sum(by_unit(one.priced.overage["operations"], above))))
    return total


def by_unit(steps: tuple[Tier, ...], above: int) -> list[int]:
    begun: dict[int, int] = {}
    for unit in range(above):
        number = next(n for n, step in enumerate(steps) if step.up_to is None or unit < step.up_to)
        begun[number] = begun.get(number, 0) + 1
    return [ceil(Fraction(units, steps[number].per)) * steps[number].price for number, units in begun.items()]


def cents(micros: Fraction) -> Fraction:
    return Fraction(floor(micros / 10_000 + Fraction(1, 2)) * 10_000)


@given(priced_terms(), st.integers(0, 2_000))
def test_against_a_slow_computation(terms: list[Term], used: int) -> None:
    assert total_of(lines_of(terms, {"operations": used})) == slowly(terms, used)


@given(priced_terms(), st.integers(0, 10**6), st.lists(st.integers(0, 10**6), max_size=4))
def test_a_bill_and_its_adjustments_are_one_bill(terms: list[Term], first: int, late: list[int]) -> None:
    billed = total_of(lines_of(terms, {"operations": first}))
    before = first
    for more in late:
        lines = adjustment_of(terms, {"operations": before}, {"operations": more}, "2026-08")
        assert all(line.month == "2026-08" for line in lines)
        billed += total_of(lines)
        before += more
    assert billed == total_of(lines_of(terms, {"operations": before}))


@given(priced_terms(), st.dictionaries(st.sampled_from(METRICS), st.integers(0, 2**53)))
def test_more_usage_never_costs_less(terms: list[Term], sums: dict[Metric, int]) -> None:
    assert total_of(lines_of(terms, sums)) >= total_of(lines_of(terms, {}))


PLANS = Plans(plans={"a": plan(), "b": plan(currency="EUR"), "dollars": plan(currency="USD")})


def at(day: int, hour: int = 12) -> int:
    """A moment of August, Unix ms."""
    return AUGUST.start * 1000 + (day - 1) * DAY_MS + hour * 3_600_000


@pytest.mark.parametrize(
    ("history", "days"),
    [
        ([(at(1) - 40 * DAY_MS, "a")], [("a", 31)]),
        ([(at(10), "a")], [("a", 22)]),
        ([(at(1), "a"), (at(11, 0), "b")], [("a", 10), ("b", 21)]),
        ([(at(1), "a"), (at(10, 23), "b"), (at(11, 5), "a")], [("a", 9), ("b", 1), ("a", 21)]),
        ([(at(1), "a"), (at(5, 1), "b"), (at(5, 2), "a")], [("a", 31)]),
        ([(at(32, 0), "a")], []),
        ([(at(31, 23), "a")], [("a", 1)]),
    ],
)
def test_terms(history: list[tuple[int, str]], days: list[tuple[str, int]]) -> None:
    found = terms_of(history, AUGUST, PLANS)
    assert [(one.plan, one.days) for one in found] == days
    assert {one.month_days for one in found} <= {31}


def test_terms_in_two_currencies_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"a \(EUR\), dollars \(USD\)"):
        terms_of([(at(1), "a"), (at(5), "dollars")], AUGUST, PLANS)


def test_a_plan_that_is_gone_is_named() -> None:
    with pytest.raises(InvalidInput, match="no plan 'lost'"):
        terms_of([(at(1), "lost")], AUGUST, PLANS)
