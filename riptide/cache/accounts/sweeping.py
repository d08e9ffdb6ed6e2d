"""The walk through an index of entries that removes what invalidations of namespaces left behind."""

from typing import Any

from riptide.cache.accounts.victims import sweep
from riptide.store.operation import Arg, Flow, ask
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account

_MARKS = Script.load("riptide.cache", "marks.lua")
_WALK = Script.load("riptide.cache", "walk.lua")
_UNMARK = Script.load("riptide.cache", "unmark.lua")

_LOOKED_AT = 1000
_BEGIN = b"0"


class Walk:
    """Through one account's index, step by step; at its end all is gone that was garbage when it began."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._cursor = _BEGIN
        self._marks: list[Arg] = []

    def step(self) -> Flow[bool]:
        """Look at some more entries; True at the end."""
        account = self._account
        if self._cursor == _BEGIN:
            self._marks = yield from ask(_MARKS.call([account.garbage], [], list))
        names = [account.index, account.garbage]
        self._cursor, members = yield from ask(_WALK.call(names, [self._cursor, _LOOKED_AT], _step))
        yield from sweep(account, members)
        if self._cursor != _BEGIN:
            return False
        if self._marks:
            yield from ask(_UNMARK.call([account.garbage], self._marks, int))
        return True


def _step(reply: Any) -> tuple[bytes, list[str]]:
    return reply[0], [member.decode() for member in reply[1]]
