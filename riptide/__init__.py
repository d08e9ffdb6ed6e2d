"""RipTide: a persistence layer for multi-tenant services, built as workers over Redis Streams.

Names are imported when they are first used, so that `import riptide` stays light and low layers never pull
in high ones.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commands import (
        Checkpoint,
        ClosePeriod,
        Command,
        Invalidate,
        Notify,
        PurgeTenant,
        RecordAccess,
        RecordUsage,
        Reload,
        Restore,
        Spill,
        Warm,
    )
    from riptide.api.middleware import TenantMiddleware, TenantWSGIMiddleware, current_tenant
    from riptide.config import Settings
    from riptide.errors import BacklogFull, Dead, PublishUnknown, Retry, RiptideError, Skip
    from riptide.reads.aio_client import AsyncRipTide, aconnect
    from riptide.reads.sync_client import RipTide, connect
    from riptide.streams.job import Job
    from riptide.streams.publishing import Outgoing
    from riptide.streams.registry import Handler

_HOMES = {
    "connect": "riptide.reads.sync_client",
    "RipTide": "riptide.reads.sync_client",
    "aconnect": "riptide.reads.aio_client",
    "AsyncRipTide": "riptide.reads.aio_client",
    "Handler": "riptide.streams.registry",
    "Job": "riptide.streams.job",
    "Outgoing": "riptide.streams.publishing",
    "Settings": "riptide.config",
    "TenantMiddleware": "riptide.api.middleware.asgi",
    "TenantWSGIMiddleware": "riptide.api.middleware.wsgi",
    "current_tenant": "riptide.api.middleware.context",
    **dict.fromkeys(
        ("BacklogFull", "Dead", "PublishUnknown", "Retry", "RiptideError", "Skip"), "riptide.errors"
    ),
    **dict.fromkeys(
        (
            "Checkpoint",
            "ClosePeriod",
            "Command",
            "Invalidate",
            "Notify",
            "PurgeTenant",
            "RecordAccess",
            "RecordUsage",
            "Reload",
            "Restore",
            "Spill",
            "Warm",
        ),
        "commands",
    ),
}

__all__ = [
    "AsyncRipTide",
    "BacklogFull",
    "Checkpoint",
    "ClosePeriod",
    "Command",
    "Dead",
    "Handler",
    "Invalidate",
    "Job",
    "Notify",
    "Outgoing",
    "PublishUnknown",
    "PurgeTenant",
    "RecordAccess",
    "RecordUsage",
    "Reload",
    "Restore",
    "Retry",
    "RipTide",
    "RiptideError",
    "Settings",
    "Skip",
    "Spill",
    "TenantMiddleware",
    "TenantWSGIMiddleware",
    "Warm",
    "aconnect",
    "connect",
    "current_tenant",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'riptide' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
