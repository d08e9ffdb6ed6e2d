"""How long keys have not been used, or how seldom: what the server itself remembers of them."""

from collections.abc import Sequence

from riptide.store.operation import Operation, identity
from riptide.store.script import Script

_IDLE = Script.load("riptide.tenants.accounts", "idle.lua")


def idle(names: Sequence[str], policy: str = "lru") -> Operation[list[int]]:
    """A number for each, the higher the more dispensable. Keys of one slot; asking is no use of them."""
    return _IDLE.call(names, [policy], identity)
