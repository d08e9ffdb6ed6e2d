"""Puts the keys of a checkpoint's sections back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, groupby

from riptide.state.archive.names import order
from riptide.state.batching import grouped
from riptide.state.checkpoints.dumping import Dumped, read_dumped
from riptide.state.checkpoints.rows import KEYS, Rows
from riptide.state.checkpoints.sections import BY_NAME, Section, tag_of, tenant_of_key
from riptide.state.restore.later import tenant_in
from riptide.state.restore.permits import KEPT_SECONDS
from riptide.state.restore.report import Report
from riptide.state.restore.tenants import Tenants
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.streams.message import Malformed, unpack_fields
from riptide.tenants.usage.known import digest_of, state_of

_PUT = Script.load("riptide.state", "put_back.lua")
_AT_ONCE = 1000
_BYTES_AT_ONCE = 4 * 1024**2
_KEYS_PER_CALL = 50


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a key, how it is put back, and the incarnation of whose it is; None: it is no tenant's.
    In a partition `state` tells how the tenant's purge is called there."""

    dumped: Dumped
    section: Section
    incarnation: str | None
    state: str = ""


def put_back(
    store: Store,
    keys: Keys,
    rows: Rows,
    tenants: Tenants,
    report: Report,
    step: Callable[[], None],
    *,
    everything: bool,
) -> None:
    """All but records. Without `everything`, what belongs to the chosen tenants alone."""
    last: list[_Part] = []
    # While the server works on some keys the next ones are read.
    with ThreadPoolExecutor(1, "restore") as sending:
        before: Future[None] | None = None
        for parts in _batches(rows, tenants, last, everything=everything):
            step()
            if before is not None:
                before.result()
            before = sending.submit(_send, store, keys, parts, tenants.token, report)
        if before is not None:
            before.result()
    _send_last(store, keys, last, tenants, report)


def _send_last(store: Store, keys: Keys, parts: Sequence[_Part], tenants: Tenants, report: Report) -> None:
    """What belongs together, as a whole or not at all: it was put back when the key that comes last is
    there."""
    for name in sorted({part.section.unless for part in parts}):
        end = keys.control(name)
        if not store.run(Operation(("EXISTS", end), bool)):
            several = [part for part in parts if part.section.unless == name]
            several.sort(key=lambda part: f"{keys.prefix}:{part.dumped.name}" == end)
            _send(store, keys, several, tenants.token, report)


def _batches(rows: Rows, tenants: Tenants, last: list[_Part], *, everything: bool) -> Iterator[list[_Part]]:
    """What comes last is added to `last`: it is little."""
    waiting: list[_Part] = []
    size, purged_ms = 0, tenants.purged_ms()
    for row in rows(KEYS):
        for part in _wanted(read_dumped(row), tenants, purged_ms, everything=everything):
            (last if part.section.unless else waiting).append(part)
            size += sum(map(len, part.dumped.items))
        if len(waiting) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield waiting
            waiting, size = [], 0
    yield waiting


def _wanted(
    dumped: Dumped, tenants: Tenants, purged_ms: Mapping[str, int], *, everything: bool
) -> Iterator[_Part]:
    """Nothing of what is not restored: who was not chosen, or is purged; a section that this release does not
    know."""
    section = BY_NAME.get(dumped.section)
    if section is None or section.way in {"record", "session"} or not (everything or section.of_tenant):
        return
    if section.of_tenant:
        tenant = tenant_of_key(dumped.name, in_partition=section.in_partition)
        if (mine := tenants.incarnation(tenant)) is not None:
            yield _Part(dumped, section, mine, state_of(tenant) if section.in_partition else "")
    elif section.name == "dead letters":
        yield from _letters(dumped, section, tenants, purged_ms)
    else:
        yield _Part(_without_purges(dumped) if section.name == "gone" else dumped, section, None)


def _without_purges(dumped: Dumped) -> Dumped:
    """A purge that went on when the server was lost is over: the tenant does not come back. Left as it was,
    it would stand in the way of a purge of the next tenant of that id."""
    items = list(dumped.items)
    for at in range(0, len(items), 2):
        if items[at].endswith(b":state") and not items[at + 1].endswith(b" over"):
            items[at + 1] += b" over"
    return replace(dumped, items=items)


def _letters(
    dumped: Dumped, section: Section, tenants: Tenants, purged_ms: Mapping[str, int]
) -> Iterator[_Part]:
    """Dead letters in their order, in as many parts as tenants take turns; without those that had been issued
    before their tenant was purged."""
    pairs = zip(dumped.items[::2], dumped.items[1::2], strict=True)
    told = [(*_about(*pair), pair) for pair in pairs]
    left = [(tenant, pair) for tenant, at, pair in told if at >= purged_ms.get(digest_of(tenant), 0)]
    for tenant, several in groupby(left, key=lambda one: one[0]):
        items = [text for _, pair in several for text in pair]
        yield _Part(replace(dumped, items=items), section, tenants.incarnation(tenant), state_of(tenant))


def _about(entry_id: bytes, packed: bytes) -> tuple[str, int]:
    """Whose a dead letter is, '': it tells of nobody; and when its command was issued (Unix ms)."""
    try:
        fields = unpack_fields(packed)
        letter = dict(zip(fields[::2], fields[1::2], strict=True))
        tenant = tenant_in(unpack_fields(letter.get(b"orig", b"")))
        return tenant or "", order(letter.get(b"src", entry_id).decode())[0]
    except (Malformed, ValueError):
        return "", 0


def _send(store: Store, keys: Keys, parts: list[_Part], token: str, report: Report) -> None:
    """Parts of one key stay in order: there is one call for as many as come together."""
    groups = list(grouped(store, parts, lambda part: tag_of(part.dumped.name), _KEYS_PER_CALL))
    replies = store.run_all([_put(keys, group, token, dry=report.dry_run) for group in groups])
    for part, count in zip(chain(*groups), chain(*replies), strict=True):
        report.items[part.section.name] += max(0, count)


def _put(keys: Keys, group: Sequence[_Part], token: str, *, dry: bool) -> Operation[list[int]]:
    names: list[str] = []
    args: list[Arg] = [int(dry), KEPT_SECONDS]
    for part in group:
        one, tag = part.dumped, tag_of(part.dumped.name)
        permit = keys.restoring(tag, token)
        # The record lies in another slot than a key of a partition: no script can look at both.
        place = keys.gone(tag) if part.state else keys.record(tag)
        names += (f"{keys.prefix}:{one.name}", f"{permit}:{one.name}", place, permit)
        incarnation = "-" if part.incarnation is None else part.incarnation
        args += (part.section.way, one.kind, one.expires_ms, int(one.first), int(one.last))
        args += (incarnation, part.state, len(one.items), *one.items)
    return _PUT.call(names, args, list)
