"""What requests are told: rate-limit fields (IETF draft), and refusals as problems."""

from functools import lru_cache
from math import ceil

from riptide.api.problems import Problem, retry_after
from riptide.tenants.quotas.decision import Decision
from riptide.tenants.quotas.script import WINDOW_SECONDS

#: Resource -> what its policy is called, and parameters of it besides the limit.
_POLICIES = {
    "operations_per_minute": ("ops", f";w={WINDOW_SECONDS}"),
    "data_per_minute_bytes": ("bytes", f";w={WINDOW_SECONDS}"),
    "data_transfer_bytes": ("transfer", ""),
}

MISSING = Problem(
    400,
    "tenant-missing",
    "The tenant is missing",
    "Send the header X-Tenant-ID, once: on whose behalf this is.",
)
#: One answer whether there is such a tenant or not.
FORBIDDEN = Problem(
    403,
    "tenant-forbidden",
    "The tenant is not the caller's",
    "There is no such tenant, or it is not the caller's.",
)
_SOON = {"Retry-After": "1"}
UNAVAILABLE = Problem(
    503,
    "server-unavailable",
    "The server cannot be reached",
    "Without it this request cannot be checked. Try again soon.",
    headers=_SOON,
)
REFUSED = Problem(
    503,
    "server-refused",
    "The server refused",
    "So this request cannot be checked; the service's log says why.",
    headers=_SOON,
)

Field = tuple[bytes, bytes]
_POLICY, _STATE = b"ratelimit-policy", b"ratelimit"


class Refused(Exception):
    """A request that may not pass. `decision` is how its tenant stands, if that is known."""

    def __init__(self, problem: Problem, decision: Decision | None = None) -> None:
        super().__init__(problem.name)
        self.problem, self.decision = problem, decision


def rate_fields(decision: Decision) -> list[Field]:
    """`RateLimit-Policy` and `RateLimit`, of what is limited."""
    resources = decision.resources
    one = resources.get("operations_per_minute") if len(resources) == 1 else None
    if one is not None and one.reset_after is not None:  # nearly all: made as the rest, and not as slowly
        if one.limit < 0:
            return []
        left = one.limit - one.used
        state = b'"ops";r=%d;t=%d' % (max(left, 0), ceil(one.reset_after))
        return [_ops_policy(one.limit), (_STATE, state)]
    policies, states = [], []
    for resource, standing in resources.items():
        if resource in _POLICIES and standing.limit >= 0:
            policies.append(_policy(resource, standing.limit))
            left, reset = max(standing.limit - standing.used, 0), standing.reset_after
            name = _POLICIES[resource][0]
            states.append(f'"{name}";r={left}' if reset is None else f'"{name}";r={left};t={ceil(reset)}')
    if not policies:
        return []
    return [(_POLICY, ", ".join(policies).encode()), (_STATE, ", ".join(states).encode())]


@lru_cache(maxsize=1024)
def _ops_policy(limit: int) -> Field:
    return _POLICY, _policy("operations_per_minute", limit).encode()


@lru_cache(maxsize=1024)
def _policy(resource: str, limit: int) -> str:
    name, more = _POLICIES[resource]
    return f'"{name}";q={limit}{more}'


def refusal(decision: Decision) -> Problem:
    """Why a decision lets nobody in."""
    if decision.status != "active":
        return Problem(
            403,
            "tenant-not-active",
            "The tenant is not active",
            f"The tenant is {decision.status}, so nothing can be done for it.",
            more={"tenant-status": decision.status},
        )
    if decision.degraded:
        return UNAVAILABLE
    names = [_POLICIES[resource][0] for resource in decision.violated]
    return Problem(
        429,
        "quota-exceeded",
        "A quota is used up",
        f"The tenant has used up its {', '.join(decision.violated)}.",
        headers=retry_after(decision.retry_after),
        more={"violated-policies": names},
    )


def head_of(problem: Problem, body: bytes, decision: Decision | None) -> list[Field]:
    """The fields of a refusal."""
    return [*problem.raw_headers(body), *(() if decision is None else rate_fields(decision))]
