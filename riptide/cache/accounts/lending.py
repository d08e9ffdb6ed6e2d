"""Shards lend each other what they do not use of a tenant's caps.

What one gives is taken from its part first, and only if it is not used; then it is added to the other's. So
all parts never come to more than the caps, whatever is done at the same time. Who dies in between leaves them
smaller, until the keeper of accounts notices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from riptide.cache.accounts.caps import CapArguments
from riptide.cache.accounts.victims import Amount
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account, Balance

_SHIFT = Script.load("riptide.cache", "shift.lua")


@dataclass(slots=True)
class Part:
    """A shard, what it holds, and by how much its part of the caps is larger than an equal one."""

    account: Account
    held: Amount
    more: Amount

    @classmethod
    def of(cls, account: Account, balance: Balance) -> "Part":
        more = Amount(balance.more_entries, balance.more_bytes)
        return cls(account, Amount(balance.entries, balance.bytes), more)


def borrow(
    account: Account, parts: Sequence[Part], missing: Amount, spare: Amount, caps: CapArguments
) -> Flow[None]:
    """Enlarge the part of `account` by what is missing, and a little, as far as others have it."""
    for part in sorted(parts, key=lambda part: part.held.bytes - part.more.bytes):
        if missing.none:
            return
        wanted = Amount(*(need and need + more for need, more in zip(missing, spare, strict=True)))
        lent: Amount = yield from ask(shift(part.account, -wanted.entries, -wanted.bytes, caps))
        if not lent.none:
            yield from ask(shift(account, lent.entries, lent.bytes, caps))
            missing -= lent


def shift(account: Account, entries: int, bytes_: int, caps: CapArguments) -> Operation[Amount]:
    """Enlarge a part, or make it smaller as far as it is not used; by how much it has changed."""

    def parse(reply: Any) -> Amount:
        return Amount(abs(reply[1]), abs(reply[0]))

    return _SHIFT.call([account.names[0], account.record], [bytes_, entries, *caps], parse)
