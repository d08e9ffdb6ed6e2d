"""Which tenants are restored, and their records, which come last: without its record nobody acts for a
tenant."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from riptide.errors import InvalidInput
from riptide.names import DEFAULT_TENANT
from riptide.state.blobs import Blobs
from riptide.state.checkpoints.dumping import read_dumped
from riptide.state.checkpoints.rows import RECORD_KEYS, Rows
from riptide.state.checkpoints.sections import tag_of
from riptide.state.restore.permits import Permits
from riptide.state.restore.purged import Purged, remember, remembered, remembered_incarnations
from riptide.state.restore.report import Report
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Operation
from riptide.store.sync import Store
from riptide.tenants.purge.mark import is_begun, without_mark
from riptide.tenants.registry.index import Index
from riptide.tenants.registry.record import Records, Stored
from riptide.tenants.usage.known import digest_of

_PAGE = 200
_STAMPS = frozenset({"revision", "changed_ms", "change"})
#: Usage is put right of who is `restored`; what is `nobody`'s goes to the workers, who say why they cannot
#: count it.
Whose = Literal["restored", "others", "nobody"]


class Tenants:
    """`chosen` None: everybody. Tells of each tenant by its id whether it is to be restored."""

    def __init__(
        self, store: Store, keys: Keys, blobs: Blobs, chosen: frozenset[str] | None, now_ms: int
    ) -> None:
        self._store, self._keys, self._blobs = store, keys, blobs
        self._chosen, self._now_ms = chosen, now_ms
        self._records, self._index = Records(keys), Index(keys)
        self._permits = Permits(store, keys)
        self._purged: list[Purged] = []
        #: Incarnations of those that are restored; None for those that are not.
        self._fates: dict[str, str | None] = {}
        self._there: dict[str, bool] = {}

    def decide(self, rows: Rows, report: Report) -> None:
        """Raises InvalidInput if a chosen tenant is not in the checkpoint."""
        self._purged = list(remembered(self._blobs, self._keys.prefix))
        for some in _pages(_records_in(rows(RECORD_KEYS))):
            stored = self._store.run_all([self._records.read(tenant) for tenant, _ in some])
            ended = self._ended([without_mark(fields["incarnation"]) for _, fields in some])
            for (tenant, fields), live, over in zip(some, stored, ended, strict=True):
                if self.is_chosen(tenant):
                    self._decide(tenant, fields, live, over, report)
            if not report.dry_run:
                self._permits.ask(self._slots_without_record(some, stored))
        self._leave_out_purged(report)
        if missing := sorted((self._chosen or frozenset()) - {*self._fates, DEFAULT_TENANT}):
            raise InvalidInput(
                f"the checkpoint holds no record of {', '.join(missing)}: nothing was restored"
            )

    def _decide(
        self, tenant: str, fields: Mapping[str, str], live: Stored, over: bool, report: Report
    ) -> None:
        incarnation = fields["incarnation"]
        gone = over or without_mark(incarnation) in {one.incarnation for one in self._purged}
        self._fates[tenant] = None
        if gone or is_begun(incarnation):
            report.tenants["purged"] += 1
            if not gone:
                # The server was lost in the midst of it; nothing of the tenant comes back.
                begun = Purged(digest_of(tenant), without_mark(incarnation), self._now_ms)
                self._purged.append(begun)
                if not report.dry_run:
                    remember(self._blobs, self._keys.prefix, tenant, begun.incarnation, begun.at_ms)
        elif live.fields and live.fields["incarnation"] != incarnation:
            purging = is_begun(live.fields["incarnation"])
            report.tenants["purged" if purging else "replaced"] += 1
        else:
            self._fates[tenant] = incarnation

    def _slots_without_record(
        self, some: Sequence[tuple[str, dict[str, str]]], stored: Sequence[Stored]
    ) -> Iterator[str]:
        """Where one may be missing: of who is to be restored."""
        for (tenant, fields), live in zip(some, stored, strict=True):
            if self._fates.get(tenant):
                if not live.fields:
                    yield tenant
                if (shards := int(fields["shards"])) > 1:
                    yield from (f"{tenant}.{number}" for number in range(shards))

    def _leave_out_purged(self, report: Report) -> None:
        """Who was purged while it was decided, which ended it or only began it. One that begins later stands
        in the way of all that is put back, until its end and after."""
        known = {one.incarnation for one in self._purged}
        if remembered_incarnations(self._blobs, self._keys.prefix) <= known:
            return
        new = [one for one in remembered(self._blobs, self._keys.prefix) if one.incarnation not in known]
        self._purged += new
        gone = {one.incarnation for one in new}
        late = [tenant for tenant, mine in self._fates.items() if mine in gone]
        self._fates |= dict.fromkeys(late)
        report.tenants["purged"] += len(late)

    def _ended(self, incarnations: list[str]) -> list[bool]:
        """Whether the server knows that they were purged."""
        key = self._keys.control("purged")
        return self._store.run(
            Operation(("HMGET", key, *incarnations), lambda reply: [one is not None for one in reply])
        )

    @property
    def token(self) -> str:
        """What tells this restore from others."""
        return self._permits.token

    @property
    def everybody(self) -> bool:
        return self._chosen is None

    def is_chosen(self, tenant: str) -> bool:
        return self._chosen is None or tenant in self._chosen

    def incarnation(self, tenant: str) -> str | None:
        """Of a tenant whose keys are restored: '' if it has no record; None: they are not."""
        return self._fates.get(tenant, "") if self.is_chosen(tenant) else None

    def is_known(self, tenant: str) -> bool:
        """Whether it has a record in the checkpoint, and is restored."""
        return bool(self._fates.get(tenant))

    def learn(self, tenants: Iterable[str]) -> None:
        """Find out which tenants that the checkpoint does not bring are there all the same."""
        asked = sorted({one for one in tenants if not self.is_known(one) and one not in self._there})
        for some in _pages(asked):
            stored = self._store.run_all([self._records.read(tenant) for tenant in some])
            self._there |= {one: bool(live.fields) for one, live in zip(some, stored, strict=True)}

    def home_of(self, tenant: str) -> Whose:
        """Whose usage that is; to be asked after `learn`."""
        if not self.is_chosen(tenant):
            return "others"
        if self.is_known(tenant) or tenant == DEFAULT_TENANT:
            return "restored"
        if not self._there.get(tenant):
            return "nobody"
        return "others" if tenant in self._fates else "restored"

    def purged_ms(self) -> dict[str, int]:
        """Digest of an id -> when a tenant of it was purged last (Unix ms)."""
        found: dict[str, int] = {}
        for one in self._purged:
            found[one.digest] = max(one.at_ms, found.get(one.digest, 0))
        return found

    def tell_purges(self) -> None:
        """Let the server know of purges that it has forgotten, so that nothing older is carried out there."""
        key, last = self._keys.control("purged"), self.purged_ms()
        for one in self._purged:
            stamp = str(last[one.digest])
            there = self._store.run(Operation(("HGET", key, one.incarnation), lambda reply: reply))
            if there is None and not self._is_here(one):
                fields = (one.digest, stamp, one.incarnation, stamp)
                self._store.run(Operation(("HSET", key, *fields), int))

    def _is_here(self, purge: Purged) -> bool:
        """Whether it goes on here, and so says by itself when it has ended: its first step notes it in every
        partition."""
        key = self._keys.gone(PARTITIONS[0])
        state: bytes | None = self._store.run(
            Operation(("HGET", key, f"{purge.digest}:state"), lambda reply: reply)
        )
        return state is not None and state.decode().removesuffix(" over") == purge.incarnation

    def write_records(self, rows: Rows, report: Report) -> None:
        for some in _pages(_records_in(rows(RECORD_KEYS))):
            mine = [(tenant, fields) for tenant, fields in some if self.is_known(tenant)]
            for tenant, fields in mine:
                report.tenants[self._write(tenant, fields, dry=report.dry_run)] += 1
            if mine and not report.dry_run:
                there = [(tenant, fields["incarnation"]) for tenant, fields in mine]
                self._store.run(self._index.enlist(there))
        self._permits.give_back()

    def _write(self, tenant: str, fields: dict[str, str], *, dry: bool) -> str:
        """Mirrors first: what a shard needs is there when the record is."""
        while True:
            live = self._store.run(self._records.read(tenant))
            if live.fields and live.fields["incarnation"] != fields["incarnation"]:
                return "purged" if is_begun(live.fields["incarnation"]) else "replaced"
            wanted = _merged(fields, live)
            what = "unchanged" if wanted is None else "changed" if live.fields else "created"
            if dry:
                return what
            mirrors = self._records.restore_mirrors(tenant, wanted or live.fields, self.token)
            self._store.run_all(mirrors)
            if wanted is None:
                return what
            if done := self._store.run(self._records.restore(tenant, live, wanted, self.token)):
                return what if done > 0 else "purged"


def _merged(fields: dict[str, str], live: Stored) -> dict[str, str] | None:
    """The record as it is to be; None if it is so."""
    if not live.fields:
        return fields
    wanted = dict(fields)
    if live.fields.get("key", "0") != "0":
        wanted["key"] = live.fields["key"]  # it may have been changed since because the old one is known
    now, then = ({k: v for k, v in one.items() if k not in _STAMPS} for one in (live.fields, wanted))
    if now == then:
        return None
    revision = max(int(live.fields["revision"]), int(fields["revision"])) + 1
    return {**wanted, "revision": str(revision), "changed_ms": str(live.now_ms)}


def _records_in(rows: Iterable[list[bytes]]) -> Iterator[tuple[str, dict[str, str]]]:
    for row in rows:
        part = read_dumped(row)
        texts = [text.decode() for text in part.items]
        yield tag_of(part.name), dict(zip(texts[::2], texts[1::2], strict=True))


def _pages(items: Iterable[Any]) -> Iterator[list[Any]]:
    page: list[Any] = []
    for item in items:
        page.append(item)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
