"""Moves entries to the blob store.

A blob is counted first, then written under a fresh name, then one script swaps the entry for a stub, if it
has not changed since it was read. Whoever dies in between leaves a blob to which nothing refers, which the
sweeping removes.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from riptide.cache.accounts.victims import NOTHING, Amount
from riptide.cache.codec import Damaged
from riptide.cache.spill.operations import Listed, note, read, release, reserve, sizes, swap
from riptide.cache.spill.stub import LEAST_BYTES, blob_name, pack_blob, stub_of
from riptide.config import Settings
from riptide.errors import BlobError, ConfigError, RiptideError
from riptide.metrics.instruments import SPILLOVER
from riptide.store.keys import Keys
from riptide.store.operation import Call, Flow, Operation, ask
from riptide.tenants.accounts.account import Account, FactsOutdated, ask_all_settled
from riptide.tenants.accounts.blobs import SpillBlobs, Written, member_of, name_in
from riptide.tenants.facts import Facts
from riptide.tenants.keyring.ring import Blocking
from riptide.tenants.quotas.limits import Limits

_WRITERS = 8
# What one step holds in this process at most: so many entries, and bytes unless a single one is larger.
_MOST_ENTRIES, _MOST_BYTES = 32, 16 * 1024**2
# While the blob store fails entries are dropped, as they would be without it.
_REST_SECONDS = 10.0


class Moved(NamedTuple):
    """How many entries, by how many bytes they became smaller, and whether the tenant may have no more
    blobs."""

    entries: int = 0
    bytes: int = 0
    full: bool = False


class Entry(NamedTuple):
    """An entry that is to be moved, as it was read, and its blob."""

    member: str
    data: bytes
    stub: bytes
    name: str
    blob: bytes

    @property
    def listed(self) -> str:
        return member_of(self.name, len(self.blob))


class Moving:
    """`blobs` opens the blob store, `blocking` calls what blocks. Safe to share between threads."""

    def __init__(
        self, keys: Keys, settings: Settings, blobs: Callable[[], SpillBlobs], blocking: Blocking
    ) -> None:
        self._keys, self._settings = keys, settings
        self._blobs, self._blocking = blobs, blocking
        self._rest_until = 0.0

    @property
    def wanted(self) -> bool:
        """Whether entries are spilled before they are dropped, and the blob store has not failed just now."""
        return self._settings.cache.enable_spill and time.monotonic() >= self._rest_until

    def instead_of_dropping(
        self, account: Account, facts: Facts, members: Sequence[str], need: int
    ) -> Flow[Amount]:
        """As `move`; what is in the way of it is no reason to fail for those who need room."""
        try:
            moved = yield from self.move(account, facts, members, need)
            return Amount(0, moved.bytes)
        except (BlobError, ConfigError):
            self._rest_until = time.monotonic() + _REST_SECONDS
        except FactsOutdated:
            pass
        return NOTHING

    def move(self, account: Account, facts: Facts, members: Sequence[str], need: int) -> Flow[Moved]:
        """Move as many of the first of `members` as bytes are needed, but for small ones.

        Raises BlobError if a blob could not be written, after the others were swapped; FactsOutdated.
        """
        found = yield from ask(sizes(account, members))
        chosen = _chosen(list(zip(members, found, strict=True)), need)
        if not chosen:
            return Moved()
        now_ms, values = yield from ask(read(account, chosen))
        todo = [
            entry
            for member, data in zip(chosen, values, strict=True)
            # Somebody else may have moved it since its size was told.
            if data is not None and len(data) >= LEAST_BYTES
            if (entry := _entry(account, facts, member, data, now_ms))
        ]
        may = (yield from ask(self._reserve(facts, todo))) if todo else 0
        full, todo = may < len(todo), todo[:may]
        if not todo:
            return Moved(full=full)
        written: list[Written | RiptideError] = yield Call(
            partial(self._blocking, partial(self._write_all, todo))
        )
        moved = yield from self._swap(account, facts, todo, written, now_ms)
        for blob in written:
            if isinstance(blob, RiptideError):
                raise blob
        return moved._replace(full=full)

    def _reserve(self, facts: Facts, todo: Sequence[Entry]) -> Operation[int]:
        most = Limits(self._settings).defaults["storage_bytes"]
        return reserve(self._keys, facts, most, [(entry.name, len(entry.blob)) for entry in todo])

    def _swap(
        self,
        account: Account,
        facts: Facts,
        todo: Sequence[Entry],
        written: Sequence[Written | RiptideError],
        now_ms: int,
    ) -> Flow[Moved]:
        there = [n for n, blob in enumerate(written) if isinstance(blob, Written)]
        calls = [
            (account, swap(account, facts, todo[n].member, todo[n].data, todo[n].stub, now_ms)) for n in there
        ]
        answers = (yield from ask_all_settled(calls)) if calls else []
        swapped = {n: one for n, one in zip(there, answers, strict=True) if one.freed}
        if swapped:
            took = sum(blob.microseconds for n in swapped if isinstance(blob := written[n], Written))
            rows = [Listed(todo[n].listed, one.expires) for n, one in swapped.items()]
            yield from ask(note(self._keys, facts.tenant, rows, "spilled", took))
            SPILLOVER.add("entries", "spill", by=len(rows))
        unused = [entry.listed for n, entry in enumerate(todo) if n not in swapped]
        if unused:
            gone = yield Call(partial(self._blocking, partial(self._remove, unused)))
            yield from ask(release(self._keys, facts.tenant, gone))
        return Moved(len(swapped), sum(one.freed for one in swapped.values()))

    def _write_all(self, todo: Sequence[Entry]) -> list[Written | RiptideError]:
        with ThreadPoolExecutor(_WRITERS) as pool:
            return list(pool.map(self._write, todo))

    def _write(self, entry: Entry) -> Written | RiptideError:
        started = time.perf_counter()
        try:
            self._blobs().put(entry.name, entry.blob)
        except RiptideError as error:
            return error
        took = round((time.perf_counter() - started) * 1e6)
        return Written(entry.listed, len(entry.blob), took)

    def _remove(self, members: Sequence[str]) -> list[str]:
        """Those that are gone; the others stay listed, and are tried again."""
        gone = []
        for member in members:
            with suppress(RiptideError):
                self._blobs().delete(name_in(member))
                gone.append(member)
        return gone


def _chosen(pairs: Sequence[tuple[str, int]], need: int) -> list[str]:
    chosen: list[str] = []
    size = 0
    for member, own in pairs:
        if own < LEAST_BYTES:
            continue
        if chosen and (size >= need or len(chosen) >= _MOST_ENTRIES or size + own > _MOST_BYTES):
            break
        chosen.append(member)
        size += own
    return chosen


def _entry(account: Account, facts: Facts, member: str, data: bytes, now_ms: int) -> Entry | None:
    """None for what is damaged: who reads it removes it."""
    name, blob = blob_name(facts, now_ms, member), pack_blob(account.entry(member), data)
    try:
        return Entry(member, data, stub_of(data, member_of(name, len(blob))), name, blob)
    except Damaged:
        return None
