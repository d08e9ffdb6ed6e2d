"""What became of asking whether a tenant may use something."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from riptide.errors import QuotaExceeded, ServerUnavailable, TenantNotActive


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tenant stands with one resource, in the resource's unit.

    `used` counts what was just taken. `limit` -1 is unlimited, and then `remaining` is None. `retry_after` is
    in how many seconds what was asked for would fit if nobody else takes anything (None: it fits, or not
    before something is given back), `reset_after` in how many all of the limit would be free (None: unknown).
    """

    limit: int
    used: int
    retry_after: float | None = None
    reset_after: float | None = None

    @property
    def remaining(self) -> int | None:
        return None if self.limit < 0 else max(self.limit - self.used, 0)


@dataclass(frozen=True, slots=True)
class Decision:
    """True if it is allowed; then rates and totals were taken, and otherwise nothing was.

    `status` is the tenant's. `violated` names the resources of which there was not enough. `degraded`: the
    server could not be reached, so that nothing was counted, and tenant.outage_policy decided, or persistence
    is switched off, and everything is allowed; `resources` is empty then, as for a tenant that is not active.
    """

    tenant: str
    allowed: bool
    status: str = "active"
    why: str = ""
    resources: Mapping[str, Standing] = field(default_factory=dict)
    violated: tuple[str, ...] = ()
    degraded: bool = False

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def retry_after(self) -> float | None:
        """Seconds after which all of it would fit; None if it does, or if no time helps."""
        waits = [self.resources[name].retry_after for name in self.violated if name in self.resources]
        return max((wait for wait in waits if wait is not None), default=None) if None not in waits else None

    def raise_if_refused(self) -> None:
        """Raises QuotaExceeded; TenantNotActive; ServerUnavailable if an outage refuses it."""
        if self.allowed:
            return
        if self.status != "active":
            because = f" ({self.why})" if self.why else ""
            raise TenantNotActive(
                f"the tenant {self.tenant} is {self.status}{because}; nothing was taken",
                status=self.status,
                why=self.why,
            )
        if self.degraded:
            raise ServerUnavailable(
                f"the server cannot be reached, so {', '.join(self.violated)} of the tenant {self.tenant} "
                "cannot be checked; tenant.outage_policy says whether that refuses"
            )
        raise self._exceeded()

    def _exceeded(self) -> QuotaExceeded:
        resource = self.violated[0]
        standing, wait = self.resources[resource], self.retry_after
        when = (
            "it does not fit before something is given back" if wait is None else f"try again in {wait:.1f} s"
        )
        return QuotaExceeded(
            f"the tenant {self.tenant} has used {standing.used:,} of {standing.limit:,} {resource}: {when}, "
            "or give it a higher limit",
            tenant=self.tenant,
            resource=resource,
            limit=standing.limit,
            remaining=standing.remaining or 0,
            retry_after=wait,
            violated=self.violated,
        )
