"""Puts sessions back, each as whole as it was, and makes anew what is kept about them.

What was in the blob store gets blobs of its own there: those of the time of the checkpoint may be gone, or go
at any moment.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby

from riptide.state.batching import grouped
from riptide.state.blobs import Blobs
from riptide.state.checkpoints.rows import SESSIONS, Rows
from riptide.state.checkpoints.sessions import Kept, kept_of
from riptide.state.clock import clock
from riptide.state.restore.report import Report
from riptide.state.restore.tenants import Tenants
from riptide.state.sessions.packing import DATA
from riptide.state.spill.blob import PREFIX, pack_blob
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.tenants.accounts.blobs import SWAP_MS, fresh_name, member_of, name_in
from riptide.tenants.accounts.sessions import session_levels
from riptide.tenants.facts import Facts

_PUT = Script.load("riptide.state", "put_sessions.lua")
_WRITERS = 8
# The more, the more are of one tenant.
_AT_ONCE, _BYTES_AT_ONCE = 5000, 4 * 1024**2
_SENDERS = 2
_SESSIONS_PER_CALL = 100
_REFUSED, _BEHIND = -1, -2
_STUB = (b"ttl", b"expires", b"created", b"rev", b"user", b"meta")


class SessionsRestore:
    """`step` hears from time to time how many sessions were looked at; it may raise."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        blobs: Blobs,
        tenants: Tenants,
        report: Report,
        step: Callable[[int], None],
    ) -> None:
        self._store, self._keys, self._blobs = store, keys, blobs
        self._tenants, self._report, self._step = tenants, report, step
        self._looked = 0

    def run(self, rows: Rows) -> None:
        # While the server works on some sessions the next ones are packed, and others are read.
        under_way: deque[Future[int]] = deque()
        report = self._report
        with ThreadPoolExecutor(_SENDERS, "restore") as sending:
            for batch in self._batches(rows):
                self._step(self._looked)
                under_way.append(sending.submit(self._put_back, batch))
                if len(under_way) > _SENDERS:
                    report.items["sessions"] += under_way.popleft().result()
            for last in under_way:
                report.items["sessions"] += last.result()

    def _batches(self, rows: Rows) -> Iterator[list[Kept]]:
        """Of the chosen tenants, those of one together."""
        waiting: list[Kept] = []
        size = 0
        for row in rows(SESSIONS):
            one = kept_of(row)
            self._looked += 1
            if self._tenants.incarnation(one.tenant) is None:
                continue
            waiting.append(one)
            size += int(one.size)
            if len(waiting) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
                yield sorted(waiting, key=_tenant)
                waiting, size = [], 0
        yield sorted(waiting, key=_tenant)

    def _put_back(self, batch: list[Kept]) -> int:
        """Answers how many there are now, or would be, that were not there."""
        count, todo = 0, batch
        while todo:
            now_ms = self._store.run(clock(self._keys.prefix))
            lasting = [one for one in todo if int(one.expires) * 1000 > now_ms]
            with_blobs = self._with_blobs(lasting, now_ms)
            groups = list(grouped(self._store, with_blobs, lambda one: one[0].tenant, _SESSIONS_PER_CALL))
            replies = self._store.run_all([self._put(group, now_ms) for group in groups])
            todo = []
            for group, reply in zip(groups, replies, strict=True):
                todo += self._left(group, reply)
                count += sum(number for number in reply if number > 0)
        return count

    def _left(self, group: Sequence[tuple[Kept, str]], reply: list[int]) -> Iterator[Kept]:
        """What has to be put back once more."""
        if not reply:
            yield from (one for one, _ in group)
            return
        for (tenant, some), number in zip(_by_tenant(group), reply, strict=True):
            if number == _BEHIND:
                self._store.drive(session_levels(self._keys, [tenant]))
                yield from (one for one, _ in some)
            elif number == _REFUSED:
                for blob in (blob for _, blob in some if blob):
                    self._blobs.delete(name_in(blob))

    def _put(self, group: Sequence[tuple[Kept, str]], now_ms: int) -> Operation[list[int]]:
        """Answers what became of each tenant's; nothing if it came too late for the blobs."""
        keys, names = self._keys, []
        args: list[Arg] = [int(self._report.dry_run), now_ms, SWAP_MS]
        for tenant, some in _by_tenant(group):
            names += [keys.session_account(tenant), keys.session_index(tenant), keys.record(tenant)]
            names += [keys.session_users(tenant), keys.session_spilled(tenant), keys.session_blobs(tenant)]
            names += [keys.account(tenant), keys.restoring(tenant, self._tenants.token)]
            start = keys.session(tenant, "")
            names += [start + one.id.decode() for one, _ in some]
            args += (self._tenants.incarnation(tenant) or "", len(some))
            for one, blob in some:
                args += (one.id, one.expires, one.size, one.user, blob, len(one.items), *one.items)
        return _PUT.call(names, args, list)

    # Those whose data belongs into the blob store

    def _with_blobs(self, batch: list[Kept], now_ms: int) -> list[tuple[Kept, str]]:
        """Each as it will be on the server, with the blob that its data is in now, or ''."""
        spilled = [one for one in batch if one.spilled]
        if not spilled or self._report.dry_run:
            return [(one, "") for one in batch]
        places = [self._keys.session(one.tenant, one.id.decode()) for one in spilled]
        there = self._store.run_all([Operation(("EXISTS", place), bool) for place in places])
        missing = [one for one, known in zip(spilled, there, strict=True) if not known]
        with ThreadPoolExecutor(_WRITERS) as pool:
            stubs = pool.map(lambda one: self._moved(one, now_ms), missing)
            found = [*((one, "") for one in batch if not one.spilled), *stubs]
        return sorted(found, key=lambda pair: pair[0].tenant)

    def _moved(self, one: Kept, now_ms: int) -> tuple[Kept, str]:
        fields = dict(zip(one.items[::2], one.items[1::2], strict=True))
        data = {name.decode(): value for name, value in fields.items() if name.startswith(DATA.encode())}
        facts = Facts(one.tenant, self._tenants.incarnation(one.tenant) or "")
        name, blob = fresh_name(PREFIX, facts, now_ms), pack_blob(one.id.decode(), data)
        self._blobs.put(name, blob)
        member = member_of(name, len(blob))
        size = b"%d" % (8 + len(fields[b"meta"]) + len(member))
        stub = {own: fields[own] for own in _STUB} | {b"size": size, b"blob": member.encode()}
        return one._replace(size=size, items=[part for pair in stub.items() for part in pair]), member


def _tenant(one: Kept) -> str:
    return one.tenant


def _by_tenant(group: Iterable[tuple[Kept, str]]) -> Iterator[tuple[str, list[tuple[Kept, str]]]]:
    for tenant, some in groupby(group, key=lambda pair: pair[0].tenant):
        yield tenant, list(some)
