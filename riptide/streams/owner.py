"""Whose a published command is."""

from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.streams.message import Entry, Ref, tenant_of

_RANGE = Script.load("riptide.streams", "range.lua")


def owner(keys: Keys, ref: Ref) -> Operation[str | None]:
    """The tenant of a command, as its entry tells it; None for nobody's, or once the entry is gone."""

    def parse(reply: Any) -> str | None:
        found = [tenant_of(Entry(ref.kind, ref.partition, ref.entry_id, fields)) for _, fields in reply]
        return found[0].decode("utf-8", "replace") or None if found else None

    return _RANGE.call([keys.commands(ref.kind, ref.partition)], [ref.entry_id, ref.entry_id, 1], parse)
