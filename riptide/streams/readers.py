"""The readers of a worker: one for all streams of a standalone server, or one for each partition of a
cluster, where no read may span slots."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

from riptide.logger import get_logger
from riptide.store.blocking import BlockingConnection
from riptide.store.keys import PARTITIONS
from riptide.streams.consumer import Consumer
from riptide.streams.ground import Ground
from riptide.streams.intake import Intake, Stream
from riptide.streams.message import Entry
from riptide.streams.reader import Reader


class Readers:
    """What one of them needs to know, all are told. The functions are those that `Reader` asks for."""

    def __init__(
        self,
        ground: Ground,
        consumer: Consumer,
        deliver: Callable[[list[Entry], str, int, str], None],
        recover: Callable[[Sequence[str]], Awaitable[None]],
        sort: Callable[[Stream], Awaitable[bool]],
    ) -> None:
        self._ground = ground
        self._consumer = consumer
        self._deliver = deliver
        self._recover = recover
        self._sort = sort
        #: Keys in the place of a stream that are none.
        self.left_out: frozenset[str] = frozenset()
        #: Types of which nothing is to be started here.
        self.resting: frozenset[str] = frozenset()
        groups = [[p] for p in PARTITIONS] if ground.store.clustered else [list(PARTITIONS)]
        self._readers = [self._make(partitions) for partitions in groups]
        self._log = get_logger("riptide.worker")

    def _make(self, partitions: list[str]) -> Reader:
        ground, block_ms = self._ground, self._ground.settings.streams.block_ms
        streams = [
            Stream(kind, p, ground.keys.stream(kind, p, slow=slow), slow)
            for slow in (False, True)
            for kind in ground.types
            for p in partitions
        ]
        return Reader(
            BlockingConnection(ground.store, streams[0].key, block_ms / 1000),
            Intake(list(ground.types.values()), streams, ground.slots),
            block_ms,
            lambda: self._consumer.name,
            self._deliver,
            self._consumer.repair,
            self._consumer.intact,
            partial(self._recover, partitions),
            self._sort,
        )

    def __iter__(self) -> Iterator[Reader]:
        return iter(self._readers)

    def leave_out(self, no_streams: frozenset[str]) -> None:
        """Somebody has put another type in the place of these streams: the others are read on."""
        for key in sorted(no_streams - self.left_out):
            self._log.error("this key is no stream and is left out; rename or delete it", key=key)
        for key in sorted(self.left_out - no_streams):
            self._log.info("this key is a stream again", key=key)
        if no_streams != self.left_out:
            self.left_out = no_streams
            self._tell()

    def rest(self, kinds: frozenset[str], *, quiet: bool) -> None:
        """Start nothing of `kinds`, because they are paused, or this process is `quiet`. What runs goes on;
        what is held back is read later."""
        if kinds != self.resting:
            self.resting = kinds
            self._log.info("starts nothing of these types", quiet=quiet, types=sorted(kinds))
            self._tell()

    def _tell(self) -> None:
        for reader in self._readers:
            reader.leave_out(self.left_out, self.resting)

    def room(self) -> None:
        """There are free slots again."""
        for reader in self._readers:
            reader.room()

    def doubt(self) -> None:
        """This consumer may hold entries that nobody here knows of."""
        for reader in self._readers:
            reader.doubt()
