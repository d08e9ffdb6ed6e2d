"""What a tenant has agreed to: its plan, its own limits, and what follows from both."""

import json
from collections.abc import Iterable, Mapping

from riptide.tenants.plans import Plans
from riptide.tenants.registry.tenant import limit_fields
from riptide.tenants.resources import check_limits

_REMEMBERED_PLANS = 500


def terms(
    plans: Plans,
    plan: str,
    overrides: Mapping[str, int],
    quotas: Mapping[str, int | None] | None,
    before: Iterable[str] = (),
) -> dict[str, str | None]:
    """Fields of a record: what is given explicitly holds over what the plan says. A quota of None takes an
    explicit one back; `before` are resources that had a limit. Raises InvalidInput."""
    given = {**overrides, **check_limits(quotas or {})}
    own = {resource: limit for resource, limit in sorted(given.items()) if limit is not None}
    limits = {**plans.plan(plan).quotas, **own}
    gone = limit_fields(dict.fromkeys(set(before) - set(limits), 0))
    return {"plan": plan, "override": json.dumps(own), **dict.fromkeys(gone), **limit_fields(limits)}


def plan_history(plans: Iterable[tuple[int, str]], now_ms: int, plan: str) -> str:
    """Since when it had which plan, as JSON: the newest ones."""
    return json.dumps([*plans, (now_ms, plan)][-_REMEMBERED_PLANS:])
