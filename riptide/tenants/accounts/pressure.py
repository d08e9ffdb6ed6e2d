"""Whether a server is about to be full by its own `maxmemory`."""

from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script

_MEMORY = Script.load("riptide.tenants.accounts", "memory.lua")


def is_full(keys: Keys) -> Flow[bool]:
    """Whether any of them is over 80 % of what it may use."""
    servers = yield from ask_all([_memory(keys.positions(p)) for p in PARTITIONS])
    return any(most and used * 10 > most * 8 for used, most in servers)


def _memory(key: str) -> Operation[tuple[int, int]]:
    """Bytes that the server of that key uses, and may use; 0: it is not limited."""
    return _MEMORY.call([key], [], lambda reply: (int(reply[0]), int(reply[1])))
