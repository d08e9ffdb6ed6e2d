"""The server's clock."""

from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script

_CLOCK = Script.load("riptide.state", "clock.lua")


def clock(prefix: str) -> Operation[int]:
    """The server's time, Unix ms."""
    return _CLOCK.call([Keys(prefix).control("tenants")], [], int)
