"""What a restore may bring back in slots where a tenant has no record.

A record that is not there says nothing: the server may have been lost, or a purge may have removed it a
moment ago. So a restore leaves a key of its own in each such slot before it looks for the last time who was
purged. Like all else of the tenant a purge removes that before the record; from then on whatever the restore
puts there is refused, and nothing is left to clear away, wherever the restore is or dies.
"""

import secrets
from collections.abc import Iterable

from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import Store

_PERMIT = Script.load("riptide.state", "permit.lua")
#: Longer than any restore takes. What one that was killed has left is gone after that.
KEPT_SECONDS = 86_400


class Permits:
    """`token` tells this restore from others."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys
        self.token = secrets.token_hex(8)
        self._tags: list[str] = []

    def ask(self, tags: Iterable[str]) -> None:
        """For these slots (by the hash tags of their keys), where there is no record."""
        asked = list(tags)
        names = [(self._keys.record(tag), self._keys.restoring(tag, self.token)) for tag in asked]
        given = self._store.run_all([_PERMIT.call(pair, [KEPT_SECONDS], bool) for pair in names])
        self._tags += [tag for tag, was_given in zip(asked, given, strict=True) if was_given]

    def give_back(self) -> None:
        names = [self._keys.restoring(tag, self.token) for tag in self._tags]
        self._store.run_all([Operation(("DEL", name), int) for name in names])
