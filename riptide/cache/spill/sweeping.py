"""Removes blobs of entries that nobody needs.

Whoever writes, deletes or invalidates an entry does not look whether it was spilled; that would cost those
most that were not. So all blobs are gone through, a part of them at a time: those whose entry does not refer
to them any more go.
"""

import secrets
from collections.abc import Callable, Sequence

from riptide.cache.space import number_of
from riptide.cache.spill.operations import Listed, listed, note, release, ripe, stubs
from riptide.cache.spill.stub import PREFIX, Origin, origin_of, reference_in
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask, ask_all
from riptide.tenants.accounts.account import Account
from riptide.tenants.accounts.blobs import SpillBlobs, name_in
from riptide.tenants.accounts.keeping import lease
from riptide.tenants.accounts.orphans import Orphans
from riptide.tenants.facts import Facts
from riptide.tenants.keyring.ring import Blocking

_STEP = 200
_BEGIN = b"0"
_PAUSE_SECONDS = 3600


class Sweeping:
    """`blobs` opens the blob store, `blocking` calls what blocks."""

    def __init__(self, keys: Keys, blobs: Callable[[], SpillBlobs], blocking: Blocking) -> None:
        self._keys = keys
        self._cursors: dict[str, bytes] = {}
        self.orphans = Orphans(PREFIX, keys.entry_blobs, keys, blobs, blocking)

    def sweep(self, facts: Facts, steps: int) -> Flow[int]:
        """Remove those whose time has come, and look at some of the others; answers how many went."""
        removed = 0
        while rows := (yield from ask(ripe(self._keys, facts.tenant, _STEP))):
            gone = yield from self._judge(facts, rows)
            removed += gone
            if len(rows) < _STEP and not gone:
                break
        for _ in range(steps):
            cursor, rows = yield from ask(
                listed(self._keys, facts.tenant, self._cursors.pop(facts.tenant, _BEGIN), _STEP)
            )
            removed += yield from self._judge(facts, [row for row in rows if row.expires >= 0])
            if cursor == _BEGIN:
                break
            self._cursors[facts.tenant] = cursor
        return removed

    def is_time(self) -> Operation[bool]:
        """True for one process an hour: to look for orphans, which takes a list of all blobs."""
        return lease(self._keys.control("entries:swept"), secrets.token_hex(8), _PAUSE_SECONDS * 1000)

    def _judge(self, facts: Facts, rows: Sequence[Listed]) -> Flow[int]:
        """Remove those to which no entry refers; of the others note when their entries expire."""
        homes: dict[Account, list[tuple[Listed, Origin]]] = {}
        unused: list[str] = []
        accounts = [Account(self._keys, tag) for tag in facts.tags]
        for row in rows:
            origin = origin_of(name_in(row.member))
            if origin is None:
                unused.append(row.member)
                continue
            homes.setdefault(accounts[number_of(origin.digest) % len(accounts)], []).append((row, origin))
        calls = [
            stubs(account, [f"{origin.namespace}:{origin.digest}" for _, origin in own])
            for account, own in homes.items()
        ]
        found = (yield from ask_all(calls)) if calls else []
        moved: list[Listed] = []
        for own, answers in zip(homes.values(), found, strict=True):
            for (row, _), (head, expires) in zip(own, answers, strict=True):
                if reference_in(head) != row.member:
                    unused.append(row.member)
                elif expires != row.expires:
                    moved.append(Listed(row.member, expires))
        if moved:
            yield from ask(note(self._keys, facts.tenant, moved))
        if unused:
            yield from self.orphans.delete([name_in(member) for member in unused])
            yield from ask(release(self._keys, facts.tenant, unused))
        return len(unused)
