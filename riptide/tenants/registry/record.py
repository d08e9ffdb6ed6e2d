"""The scripts that read, write and change tenants' records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.tenants.registry.tenant import Fields, limit_fields, limits_of
from riptide.tenants.resources import split

_PACKAGE = "riptide.tenants.registry"
_READ = Script.load(_PACKAGE, "read_record.lua")
_WRITE = Script.load(_PACKAGE, "write_record.lua")
_CHANGE = Script.load(_PACKAGE, "change_record.lua")
_WRITE_MIRROR = Script.load(_PACKAGE, "write_mirror.lua")
_CHANGE_MIRROR = Script.load(_PACKAGE, "change_mirror.lua")
_RESTORE = Script.load(_PACKAGE, "restore_record.lua")
_RESTORE_MIRROR = Script.load(_PACKAGE, "restore_mirror.lua")

SHARDS = (1, 2, 4, 8, 16)
#: A reservation is stale after the second. Nothing is written for it from the first on, so that the clocks of
#: two nodes of a cluster may differ by what lies in between.
WRITE_WITHIN_MS, STALE_MS = 30_000, 60_000
_MIRRORED = ("incarnation", "status", "key", "revision")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it was read, at the server's time `now_ms`; no fields: there is none."""

    now_ms: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of a record; a value of None removes its field. `id` lets a repetition be told."""

    id: str
    values: Mapping[str, str | None]

    def without_what_is(self, fields: Fields) -> "Change":
        """What really changes."""
        values = {name: value for name, value in self.values.items() if value != fields.get(name)}
        return Change(self.id, values)

    def applied(self, fields: Fields, **stamps: str) -> dict[str, str]:
        merged = {**fields, **self.values, **stamps}
        return {name: value for name, value in merged.items() if value is not None}


class Records:
    """Builds the operations on tenants' records. `audit` is what `Audit.arguments` answers."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def read(self, tenant: str) -> Operation[Stored]:
        def parse(reply: Any) -> Stored:
            now, *flat = map(bytes.decode, reply)
            return Stored(int(now), dict(zip(flat[::2], flat[1::2], strict=True)))

        return _READ.call([self._keys.record(tenant)], [], parse)

    def fields(self, tenant: str, names: tuple[str, ...]) -> Operation[list[str | None]]:
        """Single fields, None where there is none."""

        def parse(reply: Any) -> list[str | None]:
            return [None if value is None else value.decode() for value in reply]

        return Operation(("HMGET", self._keys.record(tenant), *names), parse)

    def write(self, tenant: str, fields: Fields, reserved_ms: int, audit: list[Arg]) -> Operation[str]:
        """Of a new tenant: answers 'written', 'exists' or 'late'."""
        rest = flatten({name: value for name, value in fields.items() if name != "incarnation"})
        args = [fields["incarnation"], reserved_ms, WRITE_WITHIN_MS, len(rest), *rest, *audit]
        return _WRITE.call(self._both(tenant), args, bytes.decode)

    def change(
        self, tenant: str, stored: Stored, change: Change, audit: list[Arg]
    ) -> Operation[dict[str, str] | None]:
        """Answers the fields as they are then; None if the record is another than was read."""
        removed = [name for name, value in change.values.items() if value is None and name in stored.fields]
        rest = flatten({name: value for name, value in change.values.items() if value is not None})
        seen = stored.fields["incarnation"], stored.fields["revision"]

        def parse(reply: Any) -> dict[str, str] | None:
            if not reply:
                return None
            revision, changed_ms = (part.decode() for part in reply)
            return change.applied(stored.fields, revision=revision, changed_ms=changed_ms)

        args = [*seen, change.id, len(removed), len(rest), *removed, *rest, *audit]
        return _CHANGE.call(self._both(tenant), args, parse)

    def write_mirrors(self, tenant: str, fields: Fields, reserved_ms: int) -> list[Operation[bool]]:
        """What each shard of a new tenant needs of the record, in its own slot; False: it is too late."""
        head = reserved_ms, WRITE_WITHIN_MS
        return self._mirrors(
            tenant,
            fields,
            lambda tag, rest: _WRITE_MIRROR.call([self._keys.record(tag)], [*head, *rest], bool),
        )

    def change_mirrors(self, tenant: str, fields: Fields) -> list[Operation[bool]]:
        """False where a shard knows a newer state already."""
        head = fields["incarnation"], fields["revision"]
        return self._mirrors(
            tenant,
            fields,
            lambda tag, rest: _CHANGE_MIRROR.call([self._keys.record(tag)], [*head, *rest], bool),
        )

    def restore(self, tenant: str, seen: Stored, fields: Fields, token: str) -> Operation[int]:
        """A record as a checkpoint has it: 1; 0 if there is another one by now than was seen; -1 if there is
        none and the restore known by `token` may not bring one back: the tenant was purged."""
        args = [seen.fields.get("revision", ""), fields["incarnation"], *flatten(fields)]
        return _RESTORE.call([self._keys.record(tenant), self._keys.restoring(tenant, token)], args, int)

    def restore_mirrors(self, tenant: str, fields: Fields, token: str) -> list[Operation[bool]]:
        """What its shards need of it; False where one knows a newer state already, or it was purged."""
        head = fields["incarnation"], fields["revision"]

        def build(tag: str, rest: list[Arg]) -> Operation[bool]:
            names = [self._keys.record(tag), self._keys.restoring(tag, token)]
            return _RESTORE_MIRROR.call(names, [*head, *rest], bool)

        return self._mirrors(tenant, fields, build)

    def _mirrors(
        self, tenant: str, fields: Fields, build: Callable[[str, list[Arg]], Operation[bool]]
    ) -> list[Operation[bool]]:
        count = int(fields["shards"])
        if count == 1:
            return []
        common, limits = {name: fields[name] for name in _MIRRORED}, limits_of(fields)
        made = []
        for shard in range(count):
            parts = {resource: split(limit, count, shard) for resource, limit in limits.items()}
            made.append(build(f"{tenant}.{shard}", flatten(common | limit_fields(parts))))
        return made

    def _both(self, tenant: str) -> list[str]:
        return [self._keys.record(tenant), self._keys.audit(tenant)]


def flatten(fields: Fields) -> list[Arg]:
    return [part for pair in fields.items() for part in pair]
