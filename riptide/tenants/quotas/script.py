"""The script that takes amounts, and the one that looks at what was taken."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from riptide.config import Settings
from riptide.names import DEFAULT_TENANT
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.tenants.quotas.amounts import RATES, TOTALS
from riptide.tenants.quotas.decision import Decision, Standing
from riptide.tenants.quotas.limits import Limits
from riptide.tenants.registry.audit import Audit, Deed

_PACKAGE = "riptide.tenants.quotas"
_CHECK = Script.load(_PACKAGE, "check.lua")
_LOOK = Script.load(_PACKAGE, "look.lua")
_CHARGE = Script.load(_PACKAGE, "charge.lua")

WINDOW_SECONDS = 60
_MOST_KNOWN = 10_000
ACTOR = "riptide:quotas"


class Answer(NamedTuple):
    """What the script said. `granted` is what a lease got; `suspended_now`: this refusal was one too many;
    `outdated`: the levels are of another incarnation, so nothing was done."""

    decision: Decision
    granted: int = 0
    suspended_now: bool = False
    outdated: bool = False


class Charged(NamedTuple):
    """What became of a charge: `left` is what did not fit, by resource."""

    decision: Decision
    left: Mapping[str, int]


class Ask(NamedTuple):
    """What is asked for. `levels` are the present ones, of the tenant's `incarnation`; a lease would like
    `wanted` of its one resource; `missed` is how many refusals the caller answered itself since it asked."""

    tenant: str
    amounts: Mapping[str, int]
    levels: Mapping[str, int]
    incarnation: str = ""
    wanted: int = 0
    missed: int = 0


class QuotaScripts:
    """Builds both calls. `window_seconds` is how long the windows of rates are."""

    def __init__(
        self, keys: Keys, settings: Settings, limits: Limits, window_seconds: int = WINDOW_SECONDS
    ) -> None:
        self._keys, self._limits, self._tenants = keys, limits, settings.tenant
        self._audit = Audit(keys, settings.security)
        self._window = window_seconds
        needed = settings.tenant.isolation_level == "strong"
        self._record = "record" if needed else "any"
        most, within = settings.tenant.suspend_after_refusals, settings.tenant.suspend_window_seconds
        self._suspends = (most, within) if most else ()
        self._why = f"automatic: {most:,} refusals for quotas within {within:,} s"
        self._begun = lru_cache(_MOST_KNOWN)(self._begin)

    def check(self, ask: Ask) -> Operation[Answer]:
        begun = self._begun(ask.tenant, *ask.amounts)
        args = begun.args + tuple(ask.amounts.values())
        if ask.wanted or ask.missed or ask.levels or self._suspends:
            args += ask.wanted, ask.missed, ask.incarnation
            args += tuple(ask.levels.get(resource, 0) for resource in ask.amounts)
            args += self._suspending(ask.tenant)
        return Operation(args, begun.parse, begun.script)

    def _begin(self, tenant: str, *resources: str) -> Operation[Answer]:
        """What all checks of the same resources have in common: the call up to their amounts."""
        names = self._names(tenant, resources)
        if self._suspends:
            names += [self._keys.quota(tenant, "refusals"), self._keys.audit(tenant)]
        return _CHECK.call(
            names, self._arguments(tenant, resources), partial(self._answer, tenant, resources)
        )

    def _names(self, tenant: str, resources: Sequence[str]) -> list[str]:
        return [self._keys.record(tenant), *(self._keys.quota(tenant, name) for name in resources)]

    def _arguments(self, tenant: str, resources: Sequence[str]) -> list[Arg]:
        """What both scripts need to know, before the amounts."""
        record = "none" if tenant == DEFAULT_TENANT else self._record
        args: list[Arg] = [record, len(resources), *(self._field(resource) for resource in resources)]
        for resource in resources:
            args += _kind(resource), self._limits.defaults[resource], self._window
        return args

    def charge(self, tenant: str, amounts: Mapping[str, int]) -> Operation[Charged]:
        """Take what fits of rates and totals."""
        resources = list(amounts)

        def parse(reply: Any) -> Charged:
            standings, left = {}, {}
            for resource, place in zip(resources, range(0, len(reply), 4), strict=False):
                rest, limit, used, wait = reply[place : place + 4]
                standings[resource] = Standing(limit, used, _seconds(wait) if rest else None, _seconds(wait))
                if rest:
                    left[resource] = rest
            decision = Decision(tenant, allowed=not left, resources=standings, violated=tuple(left))
            return Charged(decision, left)

        args = [*self._arguments(tenant, resources), *amounts.values()]
        return _CHARGE.call(self._names(tenant, resources), args, parse)

    def look(self, tenant: str) -> Operation[dict[str, tuple[int, float]]]:
        """By rate and total, how much is held, and seconds until nothing is."""
        resources = [*RATES, *TOTALS]

        def parse(reply: Any) -> dict[str, tuple[int, float]]:
            pairs = zip(reply[::2], (ms / 1000 for ms in reply[1::2]), strict=True)
            return dict(zip(resources, pairs, strict=True))

        windows: list[Arg] = [*[self._window] * len(RATES), *["month"] * len(TOTALS)]
        return _LOOK.call([self._keys.quota(tenant, resource) for resource in resources], windows, parse)

    def _field(self, resource: str) -> str:
        """Of the record; there is none of an empty name."""
        return f"limit:{resource}" if self._limits.by_record(resource) else ""

    def _suspending(self, tenant: str) -> tuple[Arg, ...]:
        if not self._suspends:
            return ()
        told = {"status": ["active", "suspended"], "why": ["", self._why]}
        deed = self._audit.arguments(Deed(tenant, ACTOR, "suspend"), told)
        return (*self._suspends, self._why, *deed)

    def _answer(self, tenant: str, resources: Sequence[str], reply: Any) -> Answer:
        what = reply[0]
        if what == b"outdated":
            return Answer(Decision(tenant, allowed=False), outdated=True)
        if type(what) is bytes:
            why = reply[1].decode() if len(reply) > 1 else ""
            return Answer(Decision(tenant, allowed=False, status=what.decode(), why=why))
        standings, violated = {}, []
        for place, resource in enumerate(resources):
            limit, used, retry, reset = reply[2 + 4 * place : 6 + 4 * place]
            if retry:
                violated.append(resource)
            standings[resource] = Standing(limit, used, _seconds(retry or -1), _seconds(reset))
        if what == 2:
            decision = Decision(tenant, allowed=False, status="suspended", why=self._why, resources=standings)
            return Answer(decision, suspended_now=True)
        allowed = what == 1
        return Answer(
            Decision(tenant, allowed=allowed, resources=standings, violated=tuple(violated)), reply[1]
        )


def _kind(resource: str) -> str:
    return "rate" if resource in RATES else "month" if resource in TOTALS else "level"


def _seconds(ms: int) -> float | None:
    return None if ms < 0 else ms / 1000
