"""The account of a tenant's sessions: how many there are, and what they take in memory and in the blob store.

It is kept as that of cache entries is (lua/parts/account.lua), by every script that writes a session.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script

_LEVELS = Script.load("riptide.tenants.accounts", "session_levels.lua")


class SessionLevels(NamedTuple):
    """What a tenant's sessions take at a moment; `more` if not all that expired was taken off yet.

    `sessions` counts the `spilled` ones, too. `memory_bytes` is on the server, `storage_bytes` in the blob
    store, where `due` blobs wait to be removed. The others are totals since the tenant began.
    """

    more: bool = False
    sessions: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    spilled: int = 0
    due: int = 0
    total_spilled: int = 0
    spill_us: int = 0
    total_restored: int = 0
    restore_us: int = 0
    #: Bytes of the blobs that hold entries of the tenant's cache; its `storage_bytes` are both.
    entries_bytes: int = 0


def session_levels(keys: Keys, tenants: Sequence[str]) -> Flow[list[SessionLevels]]:
    """Of each of `tenants`, all that expired taken off."""
    found = yield from ask_all([_levels(keys, tenant) for tenant in tenants])
    while behind := [place for place, levels in enumerate(found) if levels.more]:
        again = yield from ask_all([_levels(keys, tenants[place]) for place in behind])
        for place, levels in zip(behind, again, strict=True):
            found[place] = levels
    return found


def _levels(keys: Keys, tenant: str) -> Operation[SessionLevels]:
    names = [
        *(keys.session_account(tenant), keys.session_index(tenant)),
        *(keys.session_spilled(tenant), keys.session_blobs(tenant)),
        keys.account(tenant),
    ]

    def parse(reply: Any) -> SessionLevels:
        return SessionLevels(bool(reply[0]), *reply[1:])

    return _LEVELS.call(names, [], parse)
