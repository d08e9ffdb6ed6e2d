"""Which amounts may be limits, how a limit is split, and what a tenant's plan and its own limits make."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.errors import InvalidInput
from riptide.tenants.plans import Plans
from riptide.tenants.registry.terms import plan_history, terms
from riptide.tenants.resources import MOST, RESOURCES, check_limits, split

PLANS = Plans.model_validate(
    {
        "plans": {
            "small": {"name": "S", "currency": "EUR", "base_fee": "0", "quotas": {"memory_bytes": 10}},
            "large": {
                "name": "L",
                "currency": "EUR",
                "base_fee": "1",
                "quotas": {"memory_bytes": 1000, "cache_entries": "unlimited"},
            },
        }
    }
)


@pytest.mark.parametrize("limit", [0, 1, MOST, -1, None])
def test_a_limit_is_a_whole_number_or_unlimited(limit: int | None) -> None:
    assert check_limits({"memory_bytes": limit}) == {"memory_bytes": limit}


@pytest.mark.parametrize(
    "limit", [-2, MOST + 1, 10**400, 1.0, 1.5, math.nan, math.inf, True, "5", b"5", [], {}]
)
def test_any_other_amount_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidInput, match="the limit of cache_entries is a whole number from 0"):
        check_limits({"cache_entries": limit})


@pytest.mark.parametrize(
    "resource", ["", "memory", "limit:memory_bytes", "Memory_bytes", 5, None, "x" * 10**6]
)
def test_an_unknown_resource_is_refused(resource: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"^there is no resource .{1,80}; known are memory_bytes,"
    ) as caught:
        check_limits({resource: 1})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("quotas", [[], "memory_bytes", 5])
def test_quotas_are_a_mapping(quotas: Any) -> None:
    with pytest.raises(InvalidInput, match="quotas are a mapping"):
        check_limits(quotas)


@given(st.integers(0, MOST), st.sampled_from([1, 2, 4, 8, 16]))
def test_the_parts_of_a_limit_add_up_to_it(limit: int, shards: int) -> None:
    parts = [split(limit, shards, shard) for shard in range(shards)]
    assert sum(parts) == limit
    assert max(parts) - min(parts) <= 1
    assert {split(-1, shards, shard) for shard in range(shards)} == {-1}


limits = st.dictionaries(st.sampled_from(RESOURCES), st.one_of(st.none(), st.integers(-1, MOST)))


@given(limits, limits, st.sampled_from(["small", "large"]), st.sampled_from(["small", "large"]))
def test_ones_own_limit_holds_over_the_plans(
    first: dict[str, int | None], second: dict[str, int | None], before: str, after: str
) -> None:
    """Created with one plan and some limits, changed to another plan and others."""
    fields = {k: v for k, v in terms(PLANS, before, {}, first).items() if v is not None}
    had = {name.removeprefix("limit:") for name in fields if name.startswith("limit:")}
    changes = terms(PLANS, after, json.loads(fields["override"]), second, had)
    fields = {k: v for k, v in (fields | changes).items() if v is not None}
    own = {k: v for k, v in ({**first, **second}).items() if v is not None}
    assert fields["plan"] == after
    assert json.loads(fields["override"]) == own
    for resource in RESOURCES:
        expected = own.get(resource, PLANS.plans[after].quotas.get(resource))
        assert fields.get(f"limit:{resource}") == (None if expected is None else str(expected))


@pytest.mark.parametrize("plan", ["", "tiny", "Small", None, 5, ["small"]])
def test_an_unknown_plan_is_refused(plan: Any) -> None:
    with pytest.raises(InvalidInput, match=r"there is no plan .*; known are small, large"):
        terms(PLANS, plan, {}, None)


def test_the_newest_plans_are_remembered() -> None:
    plans: list[tuple[int, str]] = []
    for now in range(600):
        plans = [(since, plan) for since, plan in json.loads(plan_history(plans, now, "small"))]
    assert len(plans) == 500
    assert plans[-1] == (599, "small")
