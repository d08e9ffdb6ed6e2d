"""The scripts of spilling entries: how each is called, and what its answer means.

Those of an `Account` run in the slot of the entry, the others in the tenant's own: there its blobs are listed
and counted, however many shards its cache has.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from riptide.cache.accounts.caps import CapArguments
from riptide.cache.accounts.room import Over
from riptide.cache.entry import HEADER_BYTES
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation, identity
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account, answer
from riptide.tenants.accounts.blobs import ORPHAN_MS, SWAP_MS
from riptide.tenants.facts import Facts

_PACKAGE = "riptide.cache.spill"
_SIZES = Script.load(_PACKAGE, "sizes.lua")
_READ = Script.load(_PACKAGE, "read.lua")
_RESERVE = Script.load(_PACKAGE, "reserve.lua")
_SWAP = Script.load(_PACKAGE, "swap.lua")
_BACK = Script.load(_PACKAGE, "back.lua")
_NOTE = Script.load(_PACKAGE, "note.lua")
_RELEASE = Script.load(_PACKAGE, "release.lua")
_RIPE = Script.load(_PACKAGE, "ripe.lua")
_LISTED = Script.load(_PACKAGE, "listed.lua")
_STUBS = Script.load(_PACKAGE, "stubs.lua")
_LEVELS = Script.load(_PACKAGE, "levels.lua")


class Read(NamedTuple):
    now_ms: int
    entries: list[bytes | None]


class Swapped(NamedTuple):
    """By how many bytes an entry became smaller, and the second at which it expires; 0: nothing was done."""

    freed: int
    expires: int


class Listed(NamedTuple):
    """A blob, and the second at which its entry expires as far as is known; 0: nobody needs it; negative:
    nobody has said yet what became of it."""

    member: str
    expires: int


class Levels(NamedTuple):
    """What a tenant's entries take in the blob store, and totals since it began."""

    spilled: int = 0
    storage_bytes: int = 0
    total_spilled: int = 0
    spill_us: int = 0
    total_restored: int = 0
    restore_us: int = 0


def sizes(account: Account, members: Sequence[str]) -> Operation[list[int]]:
    return _SIZES.call([*map(account.entry, members)], [], identity)


def read(account: Account, members: Sequence[str]) -> Operation[Read]:
    return _READ.call([*map(account.entry, members)], [], lambda reply: Read(*reply))


def reserve(keys: Keys, facts: Facts, most: int, blobs: Iterable[tuple[str, int]]) -> Operation[int]:
    """Count blobs that are to be written; how many of them may be."""
    tenant = facts.tenant
    names = [
        *(keys.account(tenant), keys.session_account(tenant)),
        *(keys.entry_blobs(tenant), keys.record(tenant)),
    ]
    flat: list[Arg] = [part for blob in blobs for part in blob]
    return _RESERVE.call(names, [facts.incarnation, most, ORPHAN_MS // 1000, *flat], answer(int))


def swap(
    account: Account, facts: Facts, member: str, data: bytes, stub: bytes, read_ms: int
) -> Operation[Swapped]:
    names = [account.record, account.entry(member)]
    head = data[:HEADER_BYTES]
    args: list[Arg] = [facts.incarnation, head, member, stub, read_ms, SWAP_MS, len(data)]
    return account.call(_SWAP, names, args, lambda reply: Swapped(*reply))


def put_back(
    account: Account, facts: Facts, member: str, stub: bytes, data: bytes, caps: CapArguments
) -> Operation[int | Over]:
    def parse(reply: Any) -> int | Over:
        return Over(*reply[1:]) if type(reply) is list else int(reply)

    names = [account.record, account.entry(member)]
    return account.call(_BACK, names, [facts.incarnation, stub, member, data, *caps], parse)


def note(
    keys: Keys, tenant: str, blobs: Iterable[Listed], counted: str = "", microseconds: int = 0
) -> Operation[int]:
    """Note when the entries of blobs expire; `counted` is 'spilled' or 'restored' if that has just been
    done."""
    flat: list[Arg] = [part for blob in blobs for part in (blob.expires, blob.member)]
    names = [keys.account(tenant), keys.entry_blobs(tenant)]
    return _NOTE.call(names, [counted, microseconds, *flat], int)


def release(keys: Keys, tenant: str, members: Sequence[str]) -> Operation[int]:
    """Take blobs off the account that have been removed."""
    return _RELEASE.call([keys.account(tenant), keys.entry_blobs(tenant)], list(members), int)


def ripe(keys: Keys, tenant: str, limit: int) -> Operation[list[Listed]]:
    return _RIPE.call([keys.entry_blobs(tenant)], [limit], _pairs)


def listed(keys: Keys, tenant: str, cursor: bytes, count: int) -> Operation[tuple[bytes, list[Listed]]]:
    """A step through all blobs of a tenant's entries; b"0" begins, and is the end."""
    names = [keys.entry_blobs(tenant)]
    return _LISTED.call(names, [cursor, count], lambda reply: (reply[0], _pairs(reply[1])))


def stubs(account: Account, members: Sequence[str]) -> Operation[list[tuple[bytes, int]]]:
    """The beginning of each entry, and the second at which it expires."""

    def parse(reply: Any) -> list[tuple[bytes, int]]:
        return list(zip(reply[::2], reply[1::2], strict=True))

    return _STUBS.call([*map(account.entry, members)], [], parse)


def levels(keys: Keys, tenant: str) -> Operation[Levels]:
    return _LEVELS.call(
        [keys.account(tenant), keys.entry_blobs(tenant)], [], lambda reply: Levels(*map(int, reply))
    )


def _pairs(reply: Any) -> list[Listed]:
    return [Listed(m.decode(), int(score)) for m, score in zip(reply[::2], reply[1::2], strict=True)]
