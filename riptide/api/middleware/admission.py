"""Whether a request may pass: whose it is, who asks, whether the tenant may. One logic for both colours."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from riptide.api.middleware.answers import FORBIDDEN, MISSING, REFUSED, Refused, refusal
from riptide.api.middleware.callers import Callers, Proof
from riptide.api.middleware.context import TenantRequest
from riptide.api.problems import Problem
from riptide.clock import SystemClock
from riptide.errors import InvalidInput, RiptideError, ServerUnavailable, UnknownTenant
from riptide.logger import get_logger
from riptide.names import DEFAULT_TENANT
from riptide.store.operation import Call, Flow, ask
from riptide.tenants.quotas.decision import Decision

if TYPE_CHECKING:
    from riptide.reads.aio_client import AsyncRipTide
    from riptide.reads.sync_client import RipTide

_log = get_logger("riptide.middleware")
_MOST_LEASES = 10_000

#: What the host service gives the request it has: an ASGI scope, or a WSGI environ.
Raw = Any


@dataclass(frozen=True, slots=True)
class Options:
    """What the host service says; see `TenantMiddleware`."""

    keys: bool | None
    tenant_of: Callable[[Raw], Any] | None
    operation: str | Callable[[Raw], str]
    exempt: Collection[str]
    lease: bool | None

    def __post_init__(self) -> None:
        if self.keys and self.tenant_of is not None:
            raise InvalidInput("either keys of RipTide tell who calls (keys=True), or tenant_of does")
        if isinstance(self.exempt, str):
            raise InvalidInput(f"exempt is a collection of paths, as in ({self.exempt!r},)")

    @property
    def by_keys(self) -> bool:
        return self.tenant_of is None if self.keys is None else self.keys

    def open_to_all(self, path: str) -> bool:
        """Whether a path needs no tenant: it is named, or lies under one that is named with a final `/`."""
        return bool(self.exempt) and any(
            path == one or (one.endswith("/") and path.startswith(one)) for one in self.exempt
        )


class Admission:
    """Of one client. Threads may share it, if they may share the client."""

    def __init__(self, rt: "RipTide | AsyncRipTide", options: Options) -> None:
        self._rt, self._options, self._settings = rt, options, rt.settings
        self._callers = Callers(_access_of(rt), SystemClock()) if options.by_keys else None
        self._leases: dict[str, Any] = {}
        #: What drives the flows of this.
        self.store: Any = rt.store
        #: Without a server there is nobody to be told of usage.
        self.counts = rt.settings.enable_persistence

    def admit(
        self, raw: Raw, named: Sequence[str], authorization: str | None, client: str | None
    ) -> Flow[TenantRequest]:
        """`named` are the values of X-Tenant-ID. Raises Refused."""
        try:
            tenant = yield from self._tenant(raw, named)
            leased = (
                self._settings.api.middleware_leases if self._options.lease is None else self._options.lease
            )
            proof = None
            if self._callers is not None:
                proof = yield from self._callers.begin(authorization, client, tenant, leased=leased)
            decision = self._rt.quotas.owing(tenant)
            if decision is None:
                decision = yield from self._decide(tenant, proof, leased=leased)
            operation = self._options.operation
            if decision.allowed:
                return TenantRequest(
                    self._rt, tenant, decision, operation if isinstance(operation, str) else operation(raw)
                )
        except (InvalidInput, UnknownTenant):
            raise Refused(FORBIDDEN) from None
        except Problem as problem:
            raise Refused(problem) from None
        except RiptideError as error:  # the server answers, but not what it should: an ACL, its memory
            _log.error("request_not_checked", error=str(error))
            raise Refused(REFUSED) from error
        raise Refused(refusal(decision), decision)

    def end(self) -> Flow[None]:
        """The last thing: who failed to sign in is told to the audit trail."""
        if self._callers is not None:
            yield from self._callers.end()

    def _tenant(self, raw: Raw, named: Sequence[str]) -> Flow[str]:
        """Whoever is asked for it checks that it is an id. Raises Refused."""
        if not self._settings.tenant.enabled:
            return DEFAULT_TENANT
        own = None
        if (host := self._options.tenant_of) is not None:
            own = yield Call(partial(host, raw))
            if own is None or any(name != own for name in named):
                raise Refused(FORBIDDEN)
            return str(own)
        if len(named) != 1:
            raise Refused(MISSING)
        return named[0]

    def _decide(self, tenant: str, proof: Proof | None, *, leased: bool) -> Flow[Decision]:
        if not leased:
            along = None if proof is None else proof.operation
            decision = yield from self._rt.quotas.flows.check_one(tenant, along)
            if proof is not None:
                proof.conclude()
            return decision
        if proof is not None:
            with suppress(ServerUnavailable):
                yield from ask(proof.operation)
            proof.conclude()
        return (yield from self._take(tenant))

    def _take(self, tenant: str) -> Flow[Decision]:
        lease = self._leases.get(tenant)
        if lease is None:
            if len(self._leases) >= _MOST_LEASES:
                self._leases = {}
            lease = self._leases[tenant] = self._rt.quotas.lease(tenant)
        known: Decision | None = lease.known()
        if known is not None:
            return known
        try:
            decision: Decision = yield Call(lease.take)
        except UnknownTenant:
            self._leases.pop(tenant, None)
            raise
        return decision


def _access_of(rt: Any) -> Any:
    """Who checks keys, of the client's colour."""
    from riptide.api.access.access import Access, SyncAccess
    from riptide.reads.aio_client import AsyncRipTide

    return Access(rt) if isinstance(rt, AsyncRipTide) else SyncAccess(rt)
