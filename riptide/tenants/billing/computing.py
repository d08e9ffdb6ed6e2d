"""From usage and plans to the lines of an invoice: pure, and exact in whole micro-units.

Rules. A month's fee and its included amounts count by the days on which the plan held. Where several plans
held, usage is divided among them by their days, each part against its own included amounts and prices. A
price is for every `per` units begun. Each line is rounded to hundredths of the currency's unit, halves up;
the total is the sum of the lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import get_args

from riptide.tenants.billing.terms import Term
from riptide.tenants.plans import MICROS, Metric, Tier

METRICS: tuple[Metric, ...] = get_args(Metric)
#: Usage of a month by metric; what is not there is 0.
Sums = Mapping[Metric, int]

_HUNDREDTH = MICROS // 100


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice: `quantity` units of `metric` above what is included cost `micros` (millionths
    of the currency's unit); without a metric it is a fee for `quantity` days.

    `month` is told where the line belongs to an earlier month than the invoice.
    """

    plan: str
    metric: Metric | None
    quantity: int
    micros: int
    month: str | None = None


def lines_of(terms: Sequence[Term], sums: Sums) -> list[Line]:
    """What a month costs: a fee for each plan, and what was used above the included amounts."""
    return [*_fees(terms), *(line for metric in METRICS for line in _overage(terms, metric, sums))]


def adjustment_of(terms: Sequence[Term], before: Sums, late: Sums, month: str) -> list[Line]:
    """What the records cost that came when their month had been billed for `before`: the difference they
    make."""
    lines = []
    for metric in METRICS:
        both = {metric: before.get(metric, 0) + late.get(metric, 0)}
        was, now = _overage(terms, metric, before), _overage(terms, metric, both)
        micros = total_of(now) - total_of(was)
        if micros:
            quantity = sum(line.quantity for line in now) - sum(line.quantity for line in was)
            lines.append(Line(terms[-1].plan, metric, quantity, micros, month))
    return lines


def total_of(lines: Sequence[Line]) -> int:
    """In micro-units."""
    return sum(line.micros for line in lines)


def _fees(terms: Sequence[Term]) -> Iterator[Line]:
    for term in terms:
        fee = _rounded(term.priced.base_fee * term.days, term.month_days)
        yield Line(term.plan, None, term.days, fee)


def _overage(terms: Sequence[Term], metric: Metric, sums: Sums) -> list[Line]:
    lines = []
    for term, used in zip(terms, _shares(sums.get(metric, 0), [term.days for term in terms]), strict=True):
        included = term.priced.included.get(metric, 0) * term.days // term.month_days
        above = max(0, used - included)
        tiers = term.priced.overage.get(metric, ())
        if above and tiers:
            micros = sum(_tier_prices(tiers, above))
            lines.append(Line(term.plan, metric, above, _rounded(micros, 1)))
    return lines


def _tier_prices(tiers: Sequence[Tier], above: int) -> Iterator[int]:
    start = 0
    for tier in tiers:
        end = above if tier.up_to is None else min(above, tier.up_to)
        if end > start:
            yield -(-(end - start) // tier.per) * tier.price
            start = end


def _shares(whole: int, days: Sequence[int]) -> list[int]:
    """`whole` divided in proportion to `days`, so that the parts add up to it."""
    total = sum(days)
    bounds = [whole * until // total for until in accumulate(days)]
    return [end - start for start, end in zip([0, *bounds], bounds, strict=False)]


def _rounded(numerator: int, denominator: int) -> int:
    """Micro-units to whole hundredths, halves up."""
    step = denominator * _HUNDREDTH
    return (2 * numerator + step) // (2 * step) * _HUNDREDTH
