"""Usage in a checkpoint: the sums of a tenant in one partition, with the cut that they belong to.

No command is stopped for it. One script reads the sums of some tenants and, in the same moment, how far the
stream of that partition has been given out and what of it is unfinished: that takes some milliseconds at
most. So it is known of every command whether it is in these sums or comes to them.
"""

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from riptide.state.archive.names import order
from riptide.state.checkpoints.framing import Row
from riptide.state.checkpoints.rows import CUT, HOME, START, SUMS
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.tenants.usage.known import digest_of
from riptide.tenants.usage.periods import Period, hour, month

_CUT = Script.load("riptide.state", "usage_cut.lua")
USAGE = "record_usage"
#: One call reads about as many hashes.
_KEYS_PER_CALL = 100
_HOURS_FROM = 10_000_000  # numbers below are months

Fields = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """Which commands sums are made of: all up to `position` but the `unfinished`, told by their first
    entries."""

    position: str
    unfinished: frozenset[str]

    def holds(self, first: str, found_at: str) -> bool:
        """Whether a command is in them; `found_at` is the entry by which it was found, its first or a later
        one."""
        return order(found_at) <= order(self.position) and first not in self.unfinished


@dataclass(slots=True)
class Home:
    """What was counted of a tenant in one partition: `sums` by period, each by generation, operation and
    metric; `seals` by month. `last` is the restore that has changed it last, or ''."""

    partition: str
    tenant: str
    cut: Cut
    seals: dict[str, int] = field(default_factory=dict)
    sums: dict[str, Fields] = field(default_factory=dict)
    last: str = ""


class Homes:
    """Collects where usage is, in little memory, as names of keys come."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], array[int]] = {}

    def add(self, name: str) -> None:
        """`name` is a key without the deployment's prefix: `usage:{<partition>}:<tenant>:<period>`."""
        _, tag, tenant, period = name.split(":", 3)
        numbers = self._found.setdefault((tag.strip("{}"), tenant), array("I"))
        if period != "seals":
            numbers.append(int(period.replace("-", "").replace("T", "")))

    def each(self) -> Iterator[tuple[str, dict[str, list[str]]]]:
        """Partition, and tenants with their periods, as many as one call should read."""
        for partition in PARTITIONS:
            some: dict[str, list[str]] = {}
            size = 0
            for p, tenant in sorted(self._found):
                if p != partition:
                    continue
                some[tenant] = [_period(number) for number in sorted(set(self._found[p, tenant]))]
                size += 1 + len(some[tenant])
                if size >= _KEYS_PER_CALL:
                    yield partition, some
                    some, size = {}, 0
            if some:
                yield partition, some


def _period(number: int) -> str:
    text = str(number)
    if number < _HOURS_FROM:
        return f"{text[:-2]:0>4}-{text[-2:]}"
    return f"{text[:-6]:0>4}-{text[-6:-4]}-{text[-4:-2]}T{text[-2:]}"


def period_named(name: str) -> Period:
    """Raises InvalidInput if `name` is no period."""
    if "T" not in name:
        return month(name)
    first = month(name[:7])
    day, at = int(name[8:10]), int(name[11:13])
    return hour(first.start // 3600 + (day - 1) * 24 + at)


def read_homes(keys: Keys, partition: str, tenants: Mapping[str, Collection[str]]) -> Operation[list[Home]]:
    """The sums of some tenants in the named periods, with one cut for nearly all of them; without any tenant,
    one home that tells the cut alone."""
    places = [(tenant, period) for tenant, periods in tenants.items() for period in ("", *periods)]
    hashes = [
        keys.usage(partition, tenant, period) if period else keys.seals(partition, tenant)
        for tenant, period in places
    ]

    def parse(reply: Any) -> list[Home]:
        position, pending, retries, last, alone, *rows = reply
        unfinished = frozenset(entry.decode() for entry in (*pending, *retries))
        cut = Cut(position.decode(), unfinished)
        found = {tenant: Home(partition, tenant, cut) for tenant in tenants}
        for tenant, token, reached in zip(tenants, last, alone, strict=True):
            found[tenant].last = token.decode()
            if reached and order(reached.decode()) > order(cut.position):
                found[tenant].cut = Cut(reached.decode(), unfinished)
        for (tenant, period), row in zip(places, rows, strict=True):
            fields = {name.decode(): int(value) for name, value in zip(row[1::2], row[2::2], strict=True)}
            if not period:
                found[tenant].seals = fields
            elif fields:
                found[tenant].sums[period] = fields
        return list(found.values()) or [Home(partition, "", cut)]

    names = [
        keys.commands(USAGE, partition),
        keys.retry(USAGE, partition),
        keys.positions(partition),
        keys.counted(partition),
        keys.restored(partition),
        *hashes,
    ]
    digests = " ".join(map(digest_of, tenants))
    return _CUT.call(names, [GROUP, USAGE, digests], parse)


def starts(store: Store, keys: Keys) -> dict[str, Cut]:
    """The present cut of every partition."""
    found = store.run_all([read_homes(keys, p, {}) for p in PARTITIONS])
    return {home.partition: home.cut for (home,) in found}


# As rows


def start_row(partition: str, cut: Cut) -> Row:
    return [START, *_cut_parts(partition, cut)]


def home_rows(homes: Sequence[Home]) -> Iterator[Row]:
    """Of one partition."""
    cut = None
    for home in homes:
        if home.cut != cut:
            cut = home.cut
            yield [CUT, *_cut_parts(home.partition, cut)]
        yield [HOME, home.tenant.encode(), *_flat(home.seals)]
        for period, sums in home.sums.items():
            yield [SUMS, period.encode(), *_flat(sums)]


def read_cut(row: Sequence[bytes]) -> tuple[str, Cut]:
    """Partition and cut, of a row that begins with START or CUT."""
    _, partition, position, *unfinished = row
    return partition.decode(), Cut(position.decode(), frozenset(one.decode() for one in unfinished))


def read_home_rows(rows: Iterator[list[bytes]]) -> Iterator[Home]:
    """The homes among all rows of a checkpoint, in order: by partition, then by tenant."""
    partition, cut, home = "", Cut("0-0", frozenset()), None
    for row in rows:
        if row[0] == CUT:
            partition, cut = read_cut(row)
        elif row[0] == HOME:
            if home is not None:
                yield home
            home = Home(partition, row[1].decode(), cut, _numbers(row[2:]))
        elif row[0] == SUMS and home is not None:
            home.sums[row[1].decode()] = _numbers(row[2:])
    if home is not None:
        yield home


def _cut_parts(partition: str, cut: Cut) -> list[bytes]:
    return [partition.encode(), cut.position.encode(), *(one.encode() for one in sorted(cut.unfinished))]


def _flat(fields: Fields) -> list[bytes]:
    return [part for name, value in fields.items() for part in (name.encode(), b"%d" % value)]


def _numbers(flat: Sequence[bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
