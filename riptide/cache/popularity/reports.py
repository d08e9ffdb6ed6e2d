"""Reports which keys this process has read: commands `record_access` of one namespace each, every minute.

Popularity is an estimate: what was lost on the way is not asked for again.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from pydantic_core import to_json

from commands import RecordAccess
from riptide.cache.access.living import living
from riptide.cache.access.tally import Tally
from riptide.cache.core import Core
from riptide.cache.popularity.demand import MOST_KEYS, Demand
from riptide.errors import PublishUnknown, RiptideError
from riptide.store.operation import Flow
from riptide.streams.publishing import Outgoing, Publisher

#: Between two reports. Rarer than those of the sums: of thousands of keys each costs the server something.
KEYS_SECONDS = 60.0
#: Of one command, so that a worker can hold hundreds of them.
_MOST, _MOST_BYTES = 500, 64 * 1024
#: Commands published in one round trip. Making them takes time that an event loop misses.
_TOGETHER = 4
#: Of a key in a body: quotes, colon, comma and its number.
_AROUND = 20


class KeyReports:
    """Those of one client."""

    def __init__(self, core: Core, publisher: Publisher) -> None:
        self._core, self._publisher = core, publisher
        self._due = core.clock.monotonic() + KEYS_SECONDS

    def send(self, *, last: bool = False) -> Flow[int]:
        """Publish what has been counted if it is time, or the `last` one; answers by how many commands.

        Raises as `publish_many`; what was not published then goes with the next report.
        """
        now = self._core.clock.monotonic()
        if not last and now < self._due and self._core.room.left > MOST_KEYS // 4:
            return 0
        self._due = now + KEYS_SECONDS
        tallies = [tally for tally in self._core.tallies if any(_asked(one) for one in tally.demands)]
        if not tallies:
            return 0
        sent = 0
        for tally, lives in zip(tallies, (yield from living(self._core.keys, tallies)), strict=True):
            for demand in tally.demands:
                sent += yield from self._send(tally, demand, lives=lives)
        # What threads have counted at the same moment may have been missed.
        held = sum(len(one.reads) for tally in tallies for one in tally.demands)
        self._core.room.left = MOST_KEYS - held
        return sent

    def _send(self, tally: Tally, demand: Demand, *, lives: bool) -> Flow[int]:
        reads, loads = demand.take()
        commands = (
            parts(demand.namespace, reads, loads, self._publisher.max_body_bytes) if lives else iter(())
        )
        sent = 0
        while batch := list(islice(commands, _TOGETHER)):
            try:
                yield from self._publisher.publish_many([Outgoing(one, tally.tenant) for one in batch])
            except PublishUnknown:
                raise
            except RiptideError:
                _give_back(demand, [*batch, *commands])
                raise
            sent += len(batch)
        return sent


def parts(
    namespace: str, reads: Mapping[str, int], loads: Mapping[str, int], max_body_bytes: int
) -> Iterator[RecordAccess]:
    """The commands that tell it, the most read keys first. A key that no body could hold is left out."""
    room = min(_MOST_BYTES, max_body_bytes - 200)
    size, chosen = 0, list[str]()
    for key in sorted(reads.keys() | loads.keys(), key=lambda key: -reads.get(key, 0)):
        needs = (len(to_json(key)) + _AROUND) * (1 + (key in loads))
        if needs > room:
            continue
        if size + needs > room or len(chosen) == _MOST:
            yield _command(namespace, chosen, reads, loads)
            size, chosen = 0, []
        chosen.append(key)
        size += needs
    if chosen:
        yield _command(namespace, chosen, reads, loads)


def _command(
    namespace: str, chosen: Sequence[str], reads: Mapping[str, int], loads: Mapping[str, int]
) -> RecordAccess:
    return RecordAccess(
        namespace=namespace,
        keys={key: reads[key] for key in chosen if key in reads},
        load_us={key: loads[key] for key in chosen if key in loads},
    )


def _asked(demand: Demand) -> bool:
    return bool(demand.reads or demand.loads)


def _give_back(demand: Demand, commands: Sequence[RecordAccess]) -> None:
    for one in commands:
        demand.give_back(one.keys, one.load_us)
