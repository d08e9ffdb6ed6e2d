"""The audit trail: who did what to which tenant, and with which result. Written in the same script as what
was done."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from riptide.config import SecuritySettings
from riptide.errors import InvalidInput
from riptide.names import check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Flow, Operation, ask
from riptide.store.script import Script
from riptide.streams.resting import who_asks

_PACKAGE = "riptide.tenants.registry"
_NOTE = Script.load(_PACKAGE, "note.lua")
_TRAIL = Script.load(_PACKAGE, "trail.lua")
_DAY_MS = 86_400_000
_PER_READ = 500
LONGEST_ACTOR = 200
OK, REFUSED = "ok", "refused"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One thing that was done, or refused, at `timestamp_ms` (Unix ms, the server's clock): what its entry's
    id begins with, by which a trail is searched."""

    id: str
    timestamp_ms: int
    tenant_id: str
    actor: str
    operation: str
    resource: str
    result: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Records, the newest first. `cursor` is where the next page begins; None: there is none."""

    records: list[AuditRecord]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done to a tenant, and by whom. `resource` says to what of it."""

    tenant: str
    actor: str
    operation: str
    resource: str = "tenant"

    def fields(self, result: str, metadata: Mapping[str, Any]) -> list[Arg]:
        return [
            *("tenant_id", self.tenant, "actor", self.actor, "operation", self.operation),
            *("resource", self.resource, "result", result, "metadata", json.dumps(metadata)),
        ]


class Audit:
    """Builds audit records and the flow that finds them. What must outlive a tenant stands in the operators'
    trail too."""

    def __init__(self, keys: Keys, settings: SecuritySettings) -> None:
        self._keys = keys
        self._settings = settings

    @property
    def _on(self) -> bool:
        return self._settings.enable_audit_logging

    @property
    def _keep_ms(self) -> int:
        return self._settings.audit_retention_days * _DAY_MS

    def arguments(self, deed: Deed, metadata: Mapping[str, Any] | None = None) -> list[Arg]:
        """What a script is given at its end to write a record: how long records are kept, and the fields."""
        return [self._keep_ms, *deed.fields(OK, metadata or {})] if self._on else [0]

    def note(
        self, deed: Deed, result: str, metadata: Mapping[str, Any], *, operators: bool = False
    ) -> Flow[None]:
        """Write a record of what changed no tenant's record; with `operators`, in the operators' trail."""
        if self._on:
            args = [self._keep_ms, *deed.fields(result, metadata)]
            own = [self._keys.audit(deed.tenant), self._keys.record(deed.tenant)]
            keys = [self._keys.control("audit")] if operators else own
            yield from ask(_NOTE.call(keys, args, bool))

    def records(
        self,
        tenant: str | None,
        *,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        operation: str | None = None,
        actor: str | None = None,
        result: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Flow[AuditPage]:
        """A page of a tenant's trail, or of the operators' (None); raise InvalidInput for what is no time,
        limit or cursor."""
        if type(limit) is not int or not 1 <= limit <= 10_000:
            raise InvalidInput("limit is a whole number from 1 to 10,000")
        wanted = {"operation": operation, "actor": actor, "result": result}
        key = self._trail(None if tenant is None else check_tenant(tenant))
        oldest = 0 if since is None else _milliseconds("since", since)
        newest = "+" if until is None else str(_milliseconds("until", until))
        newest = newest if cursor is None else f"({_checked_cursor(cursor)}"
        found: list[AuditRecord] = []
        if not newest.strip("(0-"):  # the server refuses to look before its first id
            return AuditPage(found, None)
        while True:
            rows = yield from ask(self._read(key, newest, oldest))
            for record in rows:
                if all(value is None or getattr(record, name) == value for name, value in wanted.items()):
                    found.append(record)
                    if len(found) == limit:
                        return AuditPage(found, record.id)
            if len(rows) < _PER_READ:
                return AuditPage(found, None)
            newest = f"({rows[-1].id}"

    def _read(self, key: str, newest: str, oldest: int) -> Operation[list[AuditRecord]]:
        def parse(reply: Any) -> list[AuditRecord]:
            return [_record(entry.decode(), fields) for entry, fields in reply]

        return _TRAIL.call([key], [newest, oldest, _PER_READ, self._keep_ms], parse)

    def _trail(self, tenant: str | None) -> str:
        return self._keys.control("audit") if tenant is None else self._keys.audit(tenant)


def check_actor(actor: str | None) -> str:
    """Who acts; by default whoever runs this process. Raises InvalidInput."""
    if actor is None:
        return f"library:{who_asks()}"[:LONGEST_ACTOR]
    if isinstance(actor, str) and 0 < len(actor) <= LONGEST_ACTOR and actor.isprintable():
        return actor
    raise InvalidInput(f"actor is a text of 1 to {LONGEST_ACTOR} printable characters: who does it")


def _record(entry: str, flat: list[bytes]) -> AuditRecord:
    texts = [part.decode("utf-8", "replace") for part in flat]
    fields = dict(zip(texts[::2], texts[1::2], strict=True))
    return AuditRecord(
        entry,
        int(entry.partition("-")[0]),
        fields["tenant_id"],
        fields["actor"],
        fields["operation"],
        fields["resource"],
        fields["result"],
        json.loads(fields["metadata"]),
    )


def _milliseconds(name: str, moment: datetime | float) -> int:
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise InvalidInput(f"{name} is {moment}, without a time zone: which one is meant?")
        moment = moment.timestamp()
    if isinstance(moment, int | float) and not isinstance(moment, bool) and 0 <= moment < 2**40:
        return round(moment * 1000)
    raise InvalidInput(f"{name} is a datetime or Unix seconds")


def _checked_cursor(cursor: str) -> str:
    first, _, second = cursor.partition("-") if isinstance(cursor, str) else ("", "", "")
    if all(part.isascii() and part.isdigit() and len(part) <= 20 for part in (first, second)):
        return cursor
    raise InvalidInput(f"cursor {repr(cursor)[:80]} is none that a page of the audit trail gave")
