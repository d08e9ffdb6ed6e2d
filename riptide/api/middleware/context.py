"""What a handler knows of the request's tenant; its log lines carry the tenant, too."""

from contextvars import ContextVar
from typing import Any

from structlog.contextvars import bind_contextvars, unbind_contextvars

from riptide.tenants.quotas.decision import Decision

#: What usage is counted by where nobody says otherwise.
DEFAULT_OPERATION = "http.request"


class TenantRequest:
    """A request that was let in: `scope["riptide"]`, or `environ["riptide"]`.

    `rt` is the middleware's client; `decision` says how the tenant stands. The handler may give
    it another `operation`, by which usage is counted.
    """

    __slots__ = ("decision", "operation", "rt", "tenant")

    def __init__(self, rt: Any, tenant: str, decision: Decision, operation: str) -> None:
        self.rt, self.tenant, self.decision, self.operation = rt, tenant, decision, operation


_CURRENT: ContextVar[str | None] = ContextVar("riptide_tenant", default=None)


def current_tenant() -> str | None:
    """Whose request is being handled here; None outside of one, and for a path that needs no tenant."""
    return _CURRENT.get()


def enter(tenant: str) -> None:
    _CURRENT.set(tenant)
    bind_contextvars(tenant=tenant)


def leave() -> None:
    _CURRENT.set(None)
    unbind_contextvars("tenant")
