"""What is known of one entry, for whoever wonders why a read hits or misses. Looking changes nothing: what is
damaged stays, what is spilled stays where it is, and nothing is counted."""

from dataclasses import dataclass

from riptide.cache.codec import Damaged
from riptide.cache.core import Core
from riptide.cache.encryption import unlock
from riptide.cache.entry import Entry, Header, Miss, open_entry, read_header
from riptide.cache.reading import read, server_now
from riptide.cache.space import Shard, Space
from riptide.cache.spill.returning import Spilled
from riptide.cache.spill.stub import reference_in
from riptide.errors import BlobError, BlobNotFound, KeyUnavailable
from riptide.store.operation import Flow, Operation, ask

_WHY = {
    Miss.DAMAGED: "it is damaged; the next read removes it",
    Miss.FOREIGN: "it was encrypted for another place, or by a key that is gone; the next read removes it",
    Miss.LOST: "it was spilled and its blob is gone; the next read removes it",
}


@dataclass(frozen=True, slots=True)
class Look:
    """`name` is the entry's key on the server. `state` is hit, or why there is none: the name of a Miss in
    lower case, or key_unavailable; `why` says it in words. `header` is None where nothing is there that has
    one; `entry` where its value cannot be had. `epoch` is what its namespace has now, None: none.
    `expires_in_ms` is when it leaves the server, -1: never; `blob` where its value is, if it is spilled."""

    name: str
    stored_bytes: int
    expires_in_ms: int
    now_ms: int
    epoch: bytes | None
    state: str
    why: str = ""
    header: Header | None = None
    entry: Entry | None = None
    blob: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    state: str
    why: str = ""
    entry: Entry | None = None


def look(core: Core, space: Space, key: str) -> Flow[Look]:
    """Raises InvalidInput for what is no key."""
    shard, digest = space.place(key)
    name = shard.entry(digest)
    data, epoch = yield from ask(read(shard, digest))
    expires = yield from ask(Operation(("PTTL", name), int))
    now = yield from server_now(core, shard)
    if data is None:
        return Look(name, 0, 0, now, epoch, *_missed(Miss.ABSENT))
    header: Header | None = None
    try:
        header = read_header(data)
        judged = yield from _judge(core, shard, digest, header, data, epoch, now)
    except Damaged as error:
        judged = _Judged("damaged", f"{_WHY[Miss.DAMAGED]}: {error}")
    blob = reference_in(data) if header is not None and header.intact else ""
    return Look(name, len(data), expires, now, epoch, judged.state, judged.why, header, judged.entry, blob)


def _missed(miss: Miss) -> tuple[str, str]:
    return miss.name.lower(), _WHY.get(miss, miss.value)


def _judge(
    core: Core, shard: Shard, digest: str, header: Header, data: bytes, epoch: bytes | None, now: int
) -> Flow[_Judged]:
    """Raises Damaged."""
    if not header.intact:
        raise Damaged("the checksum differs")
    if header.epoch != epoch:
        return _Judged(*_missed(Miss.INVALIDATED))
    if header.codec == "spilled":
        found = yield from _fetched(core, Spilled(shard, digest, data))
        if isinstance(found, Miss):
            return _Judged(*_missed(found))
        data = found
    rest = None
    try:
        if read_header(data).key_id and (rest := (yield from unlock(core, shard, digest, data))) is None:
            return _Judged(*_missed(Miss.FOREIGN))
    except KeyUnavailable as error:
        return _Judged("key_unavailable", str(error))
    entry = open_entry(data, epoch, core.codec, rest)
    if isinstance(entry, Miss):
        return _Judged(*_missed(entry))
    if header.soft_expiry_ms and now >= header.soft_expiry_ms:
        return _Judged(*_missed(Miss.EXPIRED), entry)
    if entry.negative:
        return _Judged(*_missed(Miss.NEGATIVE), entry)
    return _Judged("hit", entry=entry)


def _fetched(core: Core, one: Spilled) -> Flow[bytes | Miss]:
    """What its blob holds. Raises Damaged."""
    if core.spill is None:
        return Miss.UNREACHABLE
    (found,) = yield from core.spill.returning.fetch([one])
    if isinstance(found.error, BlobNotFound):
        return Miss.LOST
    if isinstance(found.error, BlobError):
        return Miss.UNREACHABLE
    if found.error is not None:
        raise found.error
    return found.data
