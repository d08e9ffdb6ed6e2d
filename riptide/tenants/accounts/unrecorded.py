"""Tenants that hold entries and have no record, where isolation is logical: noted, so that they are found."""

from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script

_MEET = Script.load("riptide.tenants.accounts", "meet.lua")
_MET = Script.load("riptide.tenants.accounts", "met.lua")
_PAGE = 500


def meet(keys: Keys, tenant: str) -> Operation[int]:
    """Note one."""
    return _MEET.call([_noted(keys)], [tenant], int)


def is_met(keys: Keys, tenant: str) -> Operation[bool]:
    return Operation(("ZSCORE", _noted(keys), tenant), lambda score: score is not None)


def met(keys: Keys) -> Flow[list[str]]:
    """All that were noted, in order."""

    def parse(reply: Any) -> list[str]:
        return [name.decode() for name in reply]

    found: list[str] = []
    start = "-"
    while page := (yield from ask(_MET.call([_noted(keys)], [start, _PAGE], parse))):
        found += page
        start = f"({page[-1]}"
    return found


def _noted(keys: Keys) -> str:
    return keys.control("tenants:unrecorded")
