"""What is asked of the server about archiving: leases, positions, lag."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import ARCHIVE_GROUP, Keys
from riptide.store.operation import Operation
from riptide.store.script import Script

_COUNTED = 1000
_TAKE = Script.load("riptide.state", "archive_take.lua")
_MOVE = Script.load("riptide.state", "archive_move.lua")
_RELEASE = Script.load("riptide.state", "archive_release.lua")
_STATUS = Script.load("riptide.state", "archive_status.lua")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be archived of one stream: entries after `position`.

    `age_ms` is how long the first of them has waited (None: there is none), `size` its bytes, `count` how
    many there are (None: the server cannot tell).
    """

    kind: str
    position: str
    age_ms: int | None
    size: int
    count: int | None


@dataclass(frozen=True, slots=True)
class Lease:
    """What a worker hears that wants to archive a partition. `token` is None if another does, for `other_ms`
    more; `server_ms` is the server's time, Unix ms."""

    partition: str
    token: int | None
    other_ms: int = 0
    server_ms: int = 0
    streams: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamArchive:
    """How far one stream is archived. `position` is empty if nothing is; `moved` is when, in Unix seconds."""

    kind: str
    partition: str
    owner: str
    position: str
    archived: int
    moved: int
    lag: int | None
    oldest_seconds: float | None


class PartitionArchive:
    """Builds the operations on the archive of one partition."""

    def __init__(self, keys: Keys, kinds: Sequence[str], partition: str) -> None:
        self._keys = keys
        self._kinds = list(kinds)
        self.partition = partition
        self._all = [keys.archive(partition), *(keys.commands(kind, partition) for kind in kinds)]

    def stream(self, kind: str) -> str:
        return self._keys.commands(kind, self.partition)

    def take(self, who: str, lease_ms: int) -> Operation[Lease]:
        """Take the lease, or keep it; it carries a token that only grows."""

        def parse(reply: Any) -> Lease:
            token, milliseconds, *streams = reply
            if token == 0:
                return Lease(self.partition, None, other_ms=milliseconds)
            rows = zip(self._kinds, streams, strict=True)
            waiting = tuple(_waiting(kind, row) for kind, row in rows if row)
            return Lease(self.partition, token, server_ms=milliseconds, streams=waiting)

        return _TAKE.call(self._all, [ARCHIVE_GROUP, who, lease_ms, *self._kinds], parse)

    def move(self, token: int, kind: str, after: str, last: str, count: int) -> Operation[int]:
        """Move the position over a durable segment; answers 1, 0 if it stands elsewhere, -1 if the token is
        stale."""
        keys = [self._keys.archive(self.partition), self.stream(kind)]
        return _MOVE.call(keys, [ARCHIVE_GROUP, token, kind, after, last, count], int)

    def release(self, who: str) -> Operation[int]:
        return _RELEASE.call(self._all[:1], [who], int)

    def status(self) -> Operation[list[StreamArchive]]:
        def parse(reply: Any) -> list[StreamArchive]:
            owner, until, *rows = reply
            alive = owner.decode() if until else ""
            pairs = zip(self._kinds, rows, strict=True)
            return [_state(kind, self.partition, alive, row) for kind, row in pairs]

        return _STATUS.call(self._all, [ARCHIVE_GROUP, _COUNTED, *self._kinds], parse)


def _waiting(kind: str, row: list[Any]) -> Waiting:
    position, age, size, count = row
    return Waiting(kind, position.decode(), None if age < 0 else age, size, None if count < 0 else count)


def _state(kind: str, partition: str, owner: str, row: list[Any]) -> StreamArchive:
    position, archived, moved, lag, age = row
    oldest = None if age < 0 else age / 1000
    known = None if lag < 0 else lag
    return StreamArchive(kind, partition, owner, position.decode(), archived, moved, known, oldest)
