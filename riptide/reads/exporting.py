"""All of a tenant that its owner may want, as rows that JSON can hold, page by page."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from riptide.cache.core import Core
from riptide.cache.entry import Entry, Miss
from riptide.cache.reading import entry_at
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account
from riptide.tenants.billing.invoices import Invoices
from riptide.tenants.facts import KnownTenants
from riptide.tenants.registry.record import Records
from riptide.tenants.registry.registry import Registry
from riptide.tenants.registry.tenant import Tenant
from riptide.tenants.usage.periods import MONTHS_KEPT, month_of
from riptide.tenants.usage.reading import read_month, usage_of
from riptide.tenants.usage.storage import byte_seconds

_SCAN = Script.load("riptide.cache", "scan_entries.lua")
_AUDIT_PAGE, _ENTRY_PAGE = 500, 100
_MONTHS = MONTHS_KEPT // 28

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cursor:
    """What comes next: of which kind, and where in it."""

    kind: str = "tenant"
    number: int = 0
    place: str | None = None


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Rows, and where the next page begins; None: there is none."""

    rows: list[Row]
    cursor: Cursor | None


class Export:
    """Builds the flows of an export. Each row has its `kind`: tenant, usage (of a month), invoice, audit,
    entry."""

    def __init__(self, keys: Keys, registry: Registry, known: KnownTenants, core: Core) -> None:
        self._keys, self._registry, self._known, self._core = keys, registry, known, core
        self._records, self._invoices = Records(keys), Invoices(keys, registry.audit)

    def page(self, tenant: str, cursor: Cursor, *, entries: bool) -> Flow[ExportPage]:
        """A page of all that there is; of the cache's entries only with `entries`. Raises UnknownTenant."""
        match cursor.kind:
            case "tenant":
                found = yield from self._registry.show(tenant)
                return ExportPage([_record(found)], Cursor("usage"))
            case "usage":
                return (yield from self._usage(tenant, cursor.number))
            case "invoice":
                invoices = yield from ask(self._invoices.all_of(tenant))
                rows = [{"kind": "invoice", "invoice": one.model_dump(mode="json")} for one in invoices]
                return ExportPage(rows, Cursor("audit"))
            case "audit":
                page = yield from self._registry.audit.records(tenant, limit=_AUDIT_PAGE, cursor=cursor.place)
                rows = [{"kind": "audit", **asdict(record)} for record in page.records]
                last = Cursor("entry") if entries else None
                return ExportPage(rows, Cursor("audit", 0, page.cursor) if page.cursor else last)
            case _:
                return (yield from self._entries(tenant, cursor))

    def _usage(self, tenant: str, back: int) -> Flow[ExportPage]:
        """Of the month that lies so many months back, if anything was used."""
        now_ms = (yield from ask(self._records.read(tenant))).now_ms
        chosen = month_of(now_ms)
        for _ in range(back):
            chosen = month_of(chosen.start * 1000 - 1)
        sums = yield from read_month(self._keys, tenant, chosen.name)
        stored = yield from byte_seconds(self._keys, self._known, tenant, chosen.name)
        used = usage_of(tenant, chosen.name, sums, stored)
        rows = [{"kind": "usage", **asdict(used)}] if sums.generations or stored else []
        return ExportPage(rows, Cursor("invoice") if back == _MONTHS else Cursor("usage", back + 1))

    def _entries(self, tenant: str, cursor: Cursor) -> Flow[ExportPage]:
        """Where the cache is shared by all, no entry is a tenant's own."""
        facts = yield from self._known.learn(tenant)
        if facts.tenant != tenant:
            return ExportPage([], None)
        after, members = yield from ask(self._scan(facts.tags[cursor.number], cursor.place or "0"))
        rows = []
        for member in members:
            namespace, _, digest = member.partition(":")
            space = yield from self._core.find(tenant, namespace)
            found = yield from entry_at(self._core, space.shards[cursor.number], digest)
            if not isinstance(found, Miss):
                rows.append(_entry(namespace, digest, found))
        if after != "0":
            return ExportPage(rows, Cursor("entry", cursor.number, after))
        last = cursor.number + 1 == len(facts.tags)
        return ExportPage(rows, None if last else Cursor("entry", cursor.number + 1))

    def _scan(self, tag: str, cursor: str) -> Operation[tuple[str, list[str]]]:
        def parse(reply: Any) -> tuple[str, list[str]]:
            return reply[0].decode(), [member.decode() for member in reply[1][::2]]

        return _SCAN.call([Account(self._keys, tag).index], [cursor, _ENTRY_PAGE], parse)


def _record(tenant: Tenant) -> Row:
    shown = {
        name: getattr(tenant, name)
        for name in ("id", "status", "why", "plan", "shards", "revision", "created_ms", "changed_ms")
    }
    return {
        "kind": "tenant",
        **shown,
        **tenant.facts.model_dump(mode="json"),
        "limits": dict(tenant.limits),
        "overrides": dict(tenant.overrides),
        "policies": [asdict(rule) for rule in tenant.policies],
        "plans": [{"since_ms": since, "plan": plan} for since, plan in tenant.plans],
    }


def _entry(namespace: str, digest: str, entry: Entry) -> Row:
    """The server has no more of a key than `digest`, a hash of it. Bytes are in Base64."""
    value: Any = entry.value
    coded: Mapping[str, Any] = {"value": value}
    if isinstance(value, bytes):
        coded = {"value_base64": base64.b64encode(value).decode()}
    return {
        "kind": "entry",
        "namespace": namespace,
        "digest": digest,
        **coded,
        "metadata": asdict(entry.metadata),
        "created_ms": entry.created_ms,
        "expires_in_ms": entry.expires_in_ms,
        "stored_bytes": entry.stored_bytes,
    }
