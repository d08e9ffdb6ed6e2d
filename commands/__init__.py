"""What can be asked of the workers: one file per command; its handler has the same name in `workers/`."""

from commands._base import Command, MalformedBody, UnknownVersion
from commands.checkpoint import Checkpoint
from commands.close_period import ClosePeriod
from commands.invalidate import Invalidate
from commands.notify import Notify
from commands.purge_tenant import PurgeTenant
from commands.record_access import RecordAccess
from commands.record_usage import RecordUsage
from commands.reload import Reload
from commands.restore import Restore
from commands.spill import Spill
from commands.warm import Warm

#: Every command of RipTide by its type. A user's package adds its own through `workers.modules`.
COMMANDS: dict[str, type[Command]] = {
    "warm": Warm,
    "invalidate": Invalidate,
    "record_usage": RecordUsage,
    "record_access": RecordAccess,
    "checkpoint": Checkpoint,
    "restore": Restore,
    "reload": Reload,
    "purge_tenant": PurgeTenant,
    "spill": Spill,
    "close_period": ClosePeriod,
    "notify": Notify,
}

__all__ = [
    "COMMANDS",
    "Checkpoint",
    "ClosePeriod",
    "Command",
    "Invalidate",
    "MalformedBody",
    "Notify",
    "PurgeTenant",
    "RecordAccess",
    "RecordUsage",
    "Reload",
    "Restore",
    "Spill",
    "UnknownVersion",
    "Warm",
]
