"""Spilled entries: read from the blob store, and put back."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from riptide.cache.accounts.room import Over
from riptide.cache.codec import Damaged
from riptide.cache.space import Shard
from riptide.cache.spill.operations import Listed, note, put_back
from riptide.cache.spill.stub import reference_in, unpack_blob, whole
from riptide.errors import (
    InvalidInput,
    QuotaExceeded,
    RiptideError,
    ServerRefused,
    TenantNotActive,
    UnknownTenant,
)
from riptide.metrics.instruments import SPILLOVER
from riptide.store.keys import Keys
from riptide.store.operation import Call, Flow, Operation, ask
from riptide.tenants.accounts.account import FactsOutdated, ask_settled
from riptide.tenants.accounts.blobs import SpillBlobs, name_in
from riptide.tenants.keyring.ring import Blocking

_READERS = 8

#: Writes once there is room: shard, why it was not written, bytes of the entry, and the write.
MakeRoom = Callable[[Shard, Over, int, Operation[int | Over]], Flow[object]]


class Spilled(NamedTuple):
    """An entry's stub, as it was read."""

    shard: Shard
    digest: str
    stub: bytes

    @property
    def member(self) -> str:
        return self.shard.member(self.digest)


class Found(NamedTuple):
    """What its blob holds, or why that cannot be had: BlobNotFound, BlobError or Damaged."""

    data: bytes
    error: Exception | None
    microseconds: int


class Returning:
    """`blobs` opens the blob store, `blocking` calls what blocks. Safe to share between threads."""

    def __init__(self, keys: Keys, blobs: Callable[[], SpillBlobs], blocking: Blocking) -> None:
        self._keys, self._blobs, self._blocking = keys, blobs, blocking

    def fetch(self, several: Sequence[Spilled]) -> Flow[list[Found]]:
        """What is in the blobs, read at the same time."""
        found: list[Found] = yield Call(partial(self._blocking, partial(self._get_all, several)))
        return found

    def put_back(self, one: Spilled, found: Found, room: MakeRoom) -> Flow[None]:
        """Have the entry in memory again, if it may be there: else it stays where it is."""
        shard, facts = one.shard, one.shard.space.facts
        caps = shard.space.caps
        write = put_back(shard.account, facts, one.member, one.stub, found.data, caps)
        with suppress(ServerRefused, QuotaExceeded, UnknownTenant, TenantNotActive, FactsOutdated):
            back: object = yield from ask_settled(shard.account, write)
            if isinstance(back, Over):
                back = yield from room(shard, back, len(found.data), write)
            if back == 1:
                row = Listed(reference_in(one.stub), 0)
                yield from ask(note(self._keys, facts.tenant, [row], "restored", found.microseconds))
                SPILLOVER.add("entries", "restore")

    def _get_all(self, several: Sequence[Spilled]) -> list[Found]:
        if len(several) == 1:
            return [self._get(several[0])]
        with ThreadPoolExecutor(min(_READERS, len(several))) as pool:
            return list(pool.map(self._get, several))

    def _get(self, one: Spilled) -> Found:
        started = time.perf_counter()
        try:
            raw = self._blobs().get(name_in(reference_in(one.stub)))
            data = whole(one.stub, unpack_blob(raw, one.shard.entry(one.digest)))
        except InvalidInput as error:  # what the stub says is no name of a blob
            return Found(b"", Damaged(str(error)), 0)
        except (Damaged, RiptideError) as error:
            return Found(b"", error, 0)
        return Found(data, None, round((time.perf_counter() - started) * 1e6))
