"""Sessions in a checkpoint: each whole, wherever its data is. What was encrypted stays so."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from riptide.errors import BlobNotFound, Damaged
from riptide.logger import get_logger
from riptide.state.batching import asked, grouped
from riptide.state.blobs import Blobs
from riptide.state.checkpoints.dumping import ENOUGH_BYTES
from riptide.state.checkpoints.framing import Row
from riptide.state.checkpoints.rows import SESSION
from riptide.state.checkpoints.sections import tag_of, tenant_of_key
from riptide.state.spill.blob import unpack_blob
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.tenants.accounts.blobs import name_in, size_in

_DUMP = Script.load("riptide.state", "dump_sessions.lua")
_KEYS_PER_CALL = 100
_READERS = 8
_BYTES_TOGETHER, _TOGETHER = 8 * 1024**2, 200
#: Fields that every session has.
_OWN = (b"ttl", b"expires", b"created", b"size", b"rev", b"user", b"meta")
_ALL_OWN = frozenset(_OWN)
Fields = dict[bytes, bytes]


class Kept(NamedTuple):
    """A session with its data. `expires` and `size` are the fields of that name; `spilled`: its data was in
    the blob store. `items` are its fields and values, as they are on the server when its data is there."""

    tenant: str
    id: bytes
    expires: bytes
    size: bytes
    user: bytes
    spilled: bool
    items: Sequence[bytes]


def kept_of(row: list[bytes]) -> Kept:
    """What a row of a checkpoint holds."""
    _, tenant, session, expires, size, user, spilled, *items = row
    return Kept(tenant.decode(), session, expires, size, user, spilled == b"1", items)


class SessionRows:
    """Reads sessions from the server, and those that are spilled from the blob store. `left_out` counts those
    whose blob was missing or damaged: there is nothing of them to be kept."""

    def __init__(self, store: Store, prefix: str, blobs: Blobs) -> None:
        self._store, self._prefix, self._blobs = store, prefix, blobs
        self.left_out = 0
        self._log = get_logger("riptide.checkpoints")

    def rows(self, found: Sequence[str]) -> Iterator[Row]:
        """Of sessions by their names, without the prefix. One whose blob has gone is looked at again: it was
        restored, changed or ended meanwhile, unless it still refers to that."""
        before: dict[str, bytes] = {}
        while found:
            spilled: list[tuple[str, Fields]] = []
            groups = grouped(self._store, found, tag_of, _KEYS_PER_CALL)
            for name, items in asked(self._store, groups, self._dump):
                fields = dict(zip(items[::2], items[1::2], strict=True))
                if not fields.keys() >= _ALL_OWN:
                    continue  # it has ended, or the product has not written it
                blob = fields.get(b"blob")
                if blob is None:
                    yield _row(name, fields, items, spilled=False)
                elif before.get(name) == blob:
                    self._leave_out(name)
                else:
                    spilled.append((name, fields))
            before = {}
            with ThreadPoolExecutor(_READERS) as pool:
                for some in _together(spilled):
                    for (name, fields), data in zip(some, pool.map(self._data, some), strict=True):
                        if data is None:
                            before[name] = fields[b"blob"]
                        else:
                            yield _with_data(name, fields, data)
            found = list(before)

    def _dump(self, group: Sequence[str]) -> Operation[list[Any]]:
        return _DUMP.call([f"{self._prefix}:{name}" for name in group], [ENOUGH_BYTES], list)

    def _data(self, one: tuple[str, Fields]) -> Fields | None:
        """None if it is not there. Raises BlobError if that cannot be told."""
        name, fields = one
        blob = name_in(fields[b"blob"].decode())
        try:
            data = unpack_blob(self._blobs.get(blob), blob, _id_of(name))
        except (BlobNotFound, Damaged):
            return None
        return {field.encode(): value for field, value in data.items()}

    def _leave_out(self, name: str) -> None:
        self.left_out += 1
        self._log.warning(
            "the data of a spilled session is missing or damaged; it is not in the checkpoint",
            tenant=tenant_of_key(name),
        )


def _together(spilled: Iterable[tuple[str, Fields]]) -> Iterator[list[tuple[str, Fields]]]:
    """As many as are in memory at a time."""
    some: list[tuple[str, Fields]] = []
    size = 0
    for one in spilled:
        some.append(one)
        size += size_in(one[1][b"blob"].decode())
        if size >= _BYTES_TOGETHER or len(some) == _TOGETHER:
            yield some
            some, size = [], 0
    yield some


def _with_data(name: str, fields: Fields, data: Fields) -> Row:
    """As it will be in memory."""
    size = sum(len(field) + len(value) for field, value in data.items()) + 4 + len(fields[b"meta"])
    whole = {own: fields[own] for own in _OWN} | {b"size": b"%d" % size} | data
    return _row(name, whole, [part for pair in whole.items() for part in pair], spilled=True)


def _row(name: str, fields: Fields, items: Sequence[bytes], *, spilled: bool) -> Row:
    about = fields[b"expires"], fields[b"size"], fields[b"user"], b"1" if spilled else b""
    return [SESSION, tenant_of_key(name).encode(), _id_of(name).encode(), *about, *items]


def _id_of(name: str) -> str:
    return name.partition("}:")[2]
