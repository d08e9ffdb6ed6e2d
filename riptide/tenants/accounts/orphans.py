"""Blobs to which nothing refers, and never will: what those left who died while they spilled something."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Any, NamedTuple

from riptide.errors import InvalidInput
from riptide.names import check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Call, Flow, Operation, ask
from riptide.store.script import Script
from riptide.tenants.accounts.blobs import ORPHAN_MS, SpillBlobs, folder_of, member_of, written_ms
from riptide.tenants.facts import NO_INCARNATION
from riptide.tenants.keyring.ring import Blocking

_KNOWN = Script.load("riptide.tenants.accounts", "known.lua")
_STEP = 200


def known(
    record: str, listed: str, incarnation: str, members: Sequence[str]
) -> Operation[tuple[int, list[bool]]]:
    """The server's time in ms, and for each blob whether the list of that tenant has it."""
    args: list[Arg] = [incarnation, *members]
    return _KNOWN.call(
        [record, listed], args, lambda reply: (int(reply[0]), [bool(one) for one in reply[1:]])
    )


class _Folder(NamedTuple):
    tenant: str
    place: str

    @property
    def incarnation(self) -> str:
        return "" if self.place == NO_INCARNATION else self.place


class Orphans:
    """Of the blobs whose names begin with `prefix`; `listed` builds the key that lists those of a tenant.

    `blocking` calls what blocks.
    """

    def __init__(
        self,
        prefix: str,
        listed: Callable[[str], str],
        keys: Keys,
        blobs: Callable[[], SpillBlobs],
        blocking: Blocking,
    ) -> None:
        self._prefix, self._listed, self._keys = prefix, listed, keys
        self._blobs, self._blocking = blobs, blocking

    def sweep(self) -> Flow[int]:
        """Remove them; answers how many."""
        removed, steps = 0, self._steps()
        while step := (yield Call(partial(self._blocking, partial(next, steps, None)))):
            folder, blobs = step
            members = [member_of(blob.name, blob.size) for blob in blobs]
            names = self._keys.record(folder.tenant), self._listed(folder.tenant)
            now_ms, needed = yield from ask(known(*names, folder.incarnation, members))
            orphans = [
                blob.name
                for blob, keep in zip(blobs, needed, strict=True)
                if not keep and now_ms - (written_ms(blob.name) or now_ms) > ORPHAN_MS
            ]
            yield from self.delete(orphans)
            removed += len(orphans)
        return removed

    def remove_all(self, tenant: str, incarnation: str) -> Flow[int]:
        """Remove every blob of one incarnation of a tenant; answers how many there were."""
        count: int = yield Call(partial(self._blocking, partial(self._remove_all, tenant, incarnation)))
        return count

    def delete(self, names: Sequence[str]) -> Flow[None]:
        if names:
            yield Call(partial(self._blocking, partial(self._delete_now, names)))

    def _remove_all(self, tenant: str, incarnation: str) -> int:
        names = [blob.name for blob in self._blobs().list(folder_of(self._prefix, tenant, incarnation))]
        self._delete_now(names)
        return len(names)

    def _steps(self) -> Iterator[tuple[_Folder, list[Any]]]:
        for folder, blobs in groupby(self._blobs().list(self._prefix), key=self._folder):
            while folder is not None and (step := list(islice(blobs, _STEP))):
                yield folder, step

    def _folder(self, blob: Any) -> _Folder | None:
        """Whose a blob is by its name; None if it is none of these."""
        parts = blob.name.removeprefix(self._prefix).split("/")
        if len(parts) != 3 or written_ms(blob.name) is None:
            return None
        try:
            return _Folder(check_tenant(parts[0]), parts[1])
        except InvalidInput:
            return None

    def _delete_now(self, names: Sequence[str]) -> None:
        for name in names:
            self._blobs().delete(name)
