"""The scripts of spilling: how each is called, and what its answer means."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from riptide.state.sessions.operations import Place, Stored, stored
from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.tenants.accounts.account import answer
from riptide.tenants.accounts.blobs import SWAP_MS, Written

_PACKAGE = "riptide.state.spill"
_READ = Script.load(_PACKAGE, "read_timed.lua")
_SWAP = Script.load(_PACKAGE, "swap.lua")
_SAMPLE = Script.load(_PACKAGE, "sample.lua")
_DUE = Script.load(_PACKAGE, "due.lua")
_DROP = Script.load(_PACKAGE, "drop.lua")
_STRAYS = Script.load(_PACKAGE, "strays.lua")


class Full(NamedTuple):
    """The tenant may not have so much in the blob store."""

    would: int
    most: int


class Read(NamedTuple):
    now_ms: int
    session: Stored | None


def read(place: Place) -> Operation[Read]:
    return _READ.call([place.name], [], lambda reply: Read(reply[0], stored(reply[1])))


def swap(place: Place, found: Read, blob: Written, most: int) -> Operation[int | Full]:
    """By how many bytes the session became smaller; 0 if it has changed since it was read."""
    assert found.session is not None
    head = [*place.head, found.session.rev, found.now_ms, SWAP_MS]
    args = [*head, blob.member, blob.size, most, blob.microseconds]

    def parse(reply: Any) -> int | Full:
        return Full(*reply[1:]) if type(reply) is list else int(reply)

    return _SWAP.call([*place.names, *place.blobs, place.tenant_account], args, answer(parse))


def sample(keys: Keys, tenant: str, count: int) -> Operation[list[tuple[str, int]]]:
    """Up to so many sessions whose data is in memory, each with the second at which it expires."""

    def parse(reply: Any) -> list[tuple[str, int]]:
        return [(reply[n].decode(), int(reply[n + 1])) for n in range(0, len(reply), 2)]

    return _SAMPLE.call([keys.session_index(tenant), keys.session_spilled(tenant)], [count], parse)


def due(keys: Keys, tenant: str, limit: int) -> Operation[list[str]]:
    """Blobs that nobody needs any more."""

    def parse(reply: Any) -> list[str]:
        return [member.decode() for member in reply]

    return _DUE.call([keys.session_blobs(tenant)], [limit], parse)


def drop(keys: Keys, tenant: str, members: Sequence[str]) -> Operation[int]:
    """Take blobs off the account that have been removed."""
    names = [
        *(keys.session_account(tenant), keys.session_blobs(tenant)),
        *(keys.session_spilled(tenant), keys.account(tenant)),
    ]
    return _DROP.call(names, list(members), int)


def drop_strays(keys: Keys, tenant: str, after: str, count: int) -> Operation[str]:
    """Take expired sessions off the list by user; answers where to go on, '' at its end."""
    names = [keys.session_index(tenant), keys.session_users(tenant)]
    return _STRAYS.call(names, [f"({after}" if after else "-", count], lambda reply: str(reply.decode()))
