"""Recounts entries from their keys and compares that with the accounts, while everything goes on.

Three questions, each asked by scripts that see keys and account at one moment: has every entry its place in
the index; do the entries of each second take what the account says of that second; do its parts add up. What
differs because it is being written is looked at again.

Looking at an entry counts as a use of it, as far as eviction is concerned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from riptide.store.operation import Flow, Pause, ask
from riptide.store.script import Script
from riptide.tenants.accounts.account import ENTRY_OVERHEAD_BYTES, Account, settle

_STRAYS = Script.load("riptide.cache", "strays.lua")
_LISTED = Script.load("riptide.cache", "listed.lua")
_RECOUNT = Script.load("riptide.cache", "recount.lua")
_SUMS = Script.load("riptide.cache", "sums.lua")

_STEP = 400
# Between two looks at what differs: it may be written just now. Those that expire at one second are written
# within a second, as long as nothing touches them.
_PAUSES_SECONDS = (0.0, 0.0, 0.05, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Difference:
    """What an account says and what the keys say; `tag` is the tenant, or `<tenant>.<shard>`."""

    tag: str
    what: str
    account: int
    keys: int


class _Second(NamedTuple):
    over: int
    entries: int
    bytes: int
    listed: int
    accounted: int


def strays(account: Account, members: Sequence[str]) -> Flow[list[Difference]]:
    """Entries that are missing in the index, or have another expiry there."""
    names = [account.index, *map(account.entry, members)]
    found: list[bytes] = yield from ask(_STRAYS.call(names, list(members), list))
    return [Difference(account.tag, f"entry {member.decode()} in the index", 0, 1) for member in found]


def differences(account: Account) -> Flow[list[Difference]]:
    """All differences between an account and the entries that it lists."""
    yield from settle(account, force=True)
    found: list[Difference] = []
    second, members = 0, list[str]()
    while True:
        rows = yield from listed_members(account, second, 0)
        if not rows:
            break
        groups = [(at, [member for member, _ in own]) for at, own in groupby(rows, key=lambda row: row[1])]
        # The last one may have more members than came.
        complete = groups if len(rows) < _STEP else groups[:-1]
        for second, members in complete:
            found += yield from _check(account, second, members)
        if not complete:
            second = groups[0][0]
            found += yield from _check(account, second, (yield from _all_of(account, second)))
    return found + (yield from _sums(account))


def listed_members(account: Account, after: int, skip: int) -> Flow[list[tuple[str, int]]]:
    """Some entries that expire after a second, with theirs, but for so many of the first ones."""

    def parse(reply: Any) -> list[tuple[str, int]]:
        return [(name.decode(), int(at)) for name, at in zip(reply[::2], reply[1::2], strict=True)]

    return (yield from ask(_LISTED.call([account.index], [after, skip, _STEP], parse)))


def _all_of(account: Account, second: int) -> Flow[list[str]]:
    """The members of one second."""
    members: list[str] = []
    while rows := (yield from listed_members(account, second - 1, len(members))):
        members += [member for member, at in rows if at == second]
        if rows[-1][1] != second:
            break
    return members


def _check(account: Account, second: int, members: Sequence[str]) -> Flow[list[Difference]]:
    for pause in _PAUSES_SECONDS:
        counted = yield from _recount(account, second, members)
        taken = counted.bytes + ENTRY_OVERHEAD_BYTES * counted.entries
        if counted.over or (counted.entries == counted.listed and taken == counted.accounted):
            return []
        yield Pause(pause)
        members = yield from _all_of(account, second)
    return [
        Difference(account.tag, f"{what} that expire at {second}", said, there)
        for what, said, there in (
            ("entries", counted.listed, counted.entries),
            ("bytes", counted.accounted, taken),
        )
        if said != there
    ]


def _recount(account: Account, second: int, members: Sequence[str]) -> Flow[_Second]:
    entries = size = 0
    whole = _Second(0, 0, 0, 0, 0)
    for start in range(0, max(1, len(members)), _STEP):
        names = [*account.names, *map(account.entry, members[start : start + _STEP])]
        whole = yield from ask(_RECOUNT.call(names, [second], lambda reply: _Second(*reply)))
        entries, size = entries + whole.entries, size + whole.bytes
    return whole._replace(entries=entries, bytes=size)


def _sums(account: Account) -> Flow[list[Difference]]:
    rows: list[int] = yield from ask(_SUMS.call(account.names, [], list))
    entries, listed, held, added = rows
    pairs = (("entries in all", entries, listed), ("bytes in all", held, added))
    return [Difference(account.tag, what, said, there) for what, said, there in pairs if said != there]


def members_of(prefix: str, names: Iterable[bytes]) -> dict[str, list[str]]:
    """Entries among keys, by tag, each as its member of the index."""
    start = f"{prefix}:tenant:{{"
    found: dict[str, list[str]] = {}
    for name in names:
        tag, _, member = name.decode().removeprefix(start).partition("}:")
        if not member.endswith(":~epoch"):
            found.setdefault(tag, []).append(member)
    return found
