"""Which plan a tenant had on how many days of a month.

A day is billed by the plan that holds when it ends (UTC); the day on which a tenant was made is its first.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from riptide.errors import InvalidInput
from riptide.tenants.plans import Plan, Plans
from riptide.tenants.usage.periods import Period

_DAY = 86_400


class Term(BaseModel):
    """`days` of a month of `month_days` days on which the plan called `plan` held.

    `priced` is that plan as it was when the month was closed: an invoice keeps what it was computed by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str
    days: Annotated[int, Field(ge=1, le=31)]
    month_days: Annotated[int, Field(ge=28, le=31)]
    priced: Plan


def terms_of(history: Sequence[tuple[int, str]], period: Period, plans: Plans) -> list[Term]:
    """The terms of one month, in the order of time; none for a tenant that came later.

    `history` is since when (Unix ms) the tenant has had which plan. Raises InvalidInput if a plan of it is no
    longer in the file, or two of them are in different currencies.
    """
    month_days = (period.end - period.start) // _DAY
    ends = range(period.start + _DAY, period.end + 1, _DAY)
    held = [plan for end in ends if (plan := _plan_at(history, end * 1000)) is not None]
    terms = [
        Term(plan=name, days=len(list(days)), month_days=month_days, priced=plans.plan(name))
        for name, days in groupby(held)
    ]
    if len({term.priced.currency for term in terms}) > 1:
        names = ", ".join(f"{term.plan} ({term.priced.currency})" for term in terms)
        raise InvalidInput(f"one invoice cannot be in several currencies: {names}; mend tenant.plans_file")
    return terms


def had_plan(history: Sequence[tuple[int, str]], period: Period) -> bool:
    """Whether there is anything to bill for that month."""
    return _plan_at(history, period.end * 1000) is not None


def _plan_at(history: Sequence[tuple[int, str]], before_ms: int) -> str | None:
    return next((plan for since, plan in reversed(history) if since < before_ms), None)
