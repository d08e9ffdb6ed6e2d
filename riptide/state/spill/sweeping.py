"""Removes blobs that nobody needs, and what expired sessions leave in the list by user."""

import secrets
from collections.abc import Callable

from riptide.state.blobs import Blobs
from riptide.state.spill.blob import PREFIX
from riptide.state.spill.operations import drop, drop_strays, due
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.tenants.accounts.blobs import name_in
from riptide.tenants.accounts.keeping import lease
from riptide.tenants.accounts.orphans import Orphans
from riptide.tenants.keyring.ring import Blocking

_STEP = 200
_PAUSE_SECONDS = 3600


class Sweeping:
    """`blocking` calls what blocks."""

    def __init__(self, keys: Keys, blobs: Callable[[], Blobs], blocking: Blocking) -> None:
        self._keys = keys
        self.orphans = Orphans(PREFIX, keys.session_blobs, keys, blobs, blocking)

    def sweep(self, tenant: str) -> Flow[int]:
        """Remove the blobs of sessions that were restored, changed, ended or have expired; answers how
        many."""
        removed = 0
        while members := (yield from ask(due(self._keys, tenant, _STEP))):
            yield from self.orphans.delete([name_in(member) for member in members])
            removed += yield from ask(drop(self._keys, tenant, members))
        return removed

    def is_time(self) -> Operation[bool]:
        """True for one process an hour: to look for orphans, which takes a list of all blobs."""
        return lease(self._keys.control("sessions:swept"), secrets.token_hex(8), _PAUSE_SECONDS * 1000)

    def drop_strays(self, tenant: str) -> Flow[None]:
        """Take expired sessions off the list by user."""
        after = yield from ask(drop_strays(self._keys, tenant, "", _STEP))
        while after:
            after = yield from ask(drop_strays(self._keys, tenant, after, _STEP))
