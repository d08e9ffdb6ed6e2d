"""Removes blobs that nobody needs, and what expired sessions leave in the list by user."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import NamedTuple

from riptide.errors import InvalidInput
from riptide.names import check_tenant
from riptide.state.blobs import Blob, Blobs
from riptide.state.spill.blob import PREFIX, folder_of, member_of, name_in, written_ms
from riptide.state.spill.operations import ORPHAN_MS, drop, drop_strays, due, known
from riptide.store.keys import Keys
from riptide.store.operation import Call, Flow, Operation, ask
from riptide.tenants.accounts.keeping import lease
from riptide.tenants.facts import NO_INCARNATION
from riptide.tenants.keyring.ring import Blocking

_STEP = 200
_PAUSE_SECONDS = 3600


class _Folder(NamedTuple):
    tenant: str
    place: str

    @property
    def incarnation(self) -> str:
        return "" if self.place == NO_INCARNATION else self.place


class Sweeping:
    """`blocking` calls what blocks."""

    def __init__(self, keys: Keys, blobs: Callable[[], Blobs], blocking: Blocking) -> None:
        self._keys, self._blobs, self._blocking = keys, blobs, blocking

    def sweep(self, tenant: str) -> Flow[int]:
        """Remove the blobs of sessions that were restored, changed, ended or have expired; answers how
        many."""
        removed = 0
        while members := (yield from ask(due(self._keys, tenant, _STEP))):
            yield from self._delete([name_in(member) for member in members])
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

    def sweep_orphans(self) -> Flow[int]:
        """Remove blobs to which no session refers, and never will; answers how many."""
        removed, steps = 0, self._steps()
        while step := (yield Call(partial(self._blocking, partial(next, steps, None)))):
            folder, blobs = step
            members = [member_of(blob.name, blob.size) for blob in blobs]
            now_ms, needed = yield from ask(known(self._keys, folder.tenant, folder.incarnation, members))
            orphans = [
                blob.name
                for blob, keep in zip(blobs, needed, strict=True)
                if not keep and now_ms - (written_ms(blob.name) or now_ms) > ORPHAN_MS
            ]
            yield from self._delete(orphans)
            removed += len(orphans)
        return removed

    def remove_all(self, tenant: str, incarnation: str) -> Flow[int]:
        """Remove every blob of one incarnation of a tenant; answers how many there were."""
        count: int = yield Call(partial(self._blocking, partial(self._remove_all, tenant, incarnation)))
        return count

    def _remove_all(self, tenant: str, incarnation: str) -> int:
        names = [blob.name for blob in self._blobs().list(folder_of(tenant, incarnation))]
        self._delete_now(names)
        return len(names)

    def _steps(self) -> Iterator[tuple[_Folder, list[Blob]]]:
        for folder, blobs in groupby(self._blobs().list(PREFIX), key=_folder):
            while folder is not None and (step := list(islice(blobs, _STEP))):
                yield folder, step

    def _delete(self, names: Sequence[str]) -> Flow[None]:
        if names:
            yield Call(partial(self._blocking, partial(self._delete_now, names)))

    def _delete_now(self, names: Sequence[str]) -> None:
        for name in names:
            self._blobs().delete(name)


def _folder(blob: Blob) -> _Folder | None:
    """Whose a blob is by its name; None if it is no session's."""
    parts = blob.name.removeprefix(PREFIX).split("/")
    if len(parts) != 3 or written_ms(blob.name) is None:
        return None
    try:
        return _Folder(check_tenant(parts[0]), parts[1])
    except InvalidInput:
        return None
