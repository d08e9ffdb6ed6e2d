"""All tenants in order, and the ids that are reserved while their records are being written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.tenants.registry.record import STALE_MS

_PACKAGE = "riptide.tenants.registry"
_RESERVE = Script.load(_PACKAGE, "reserve.lua")
_CONFIRM = Script.load(_PACKAGE, "confirm.lua")
_RELEASE = Script.load(_PACKAGE, "release.lua")
_PAGE = Script.load(_PACKAGE, "page.lua")
_LIST = Script.load(_PACKAGE, "list_tenants.lua")


@dataclass(frozen=True, slots=True)
class Reservation:
    """An id that somebody is creating, or has died over. `text` is how it stands on the server."""

    tenant: str
    text: str

    @property
    def incarnation(self) -> str:
        return self.text.split(" ", 2)[0]

    @property
    def since_ms(self) -> int:
        return int(self.text.split(" ", 2)[1])

    @property
    def actor(self) -> str:
        return self.text.split(" ", 2)[2]


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of a wish to reserve: `reserved`, `exists`, `creating`, `stale` (taken over: `earlier`), or
    `full` (with the number of `tenants`; `earlier` are all stale reservations)."""

    what: str
    now_ms: int
    tenants: int = 0
    earlier: tuple[Reservation, ...] = ()


class Index:
    """Builds the operations on the tenants' index, in the control slot."""

    def __init__(self, keys: Keys) -> None:
        self._index = keys.control("tenants")
        self._reservations = keys.control("tenants:reserved")
        self._audit, self._purged = keys.control("audit"), keys.control("purged")

    def reserve(self, tenant: str, incarnation: str, actor: str, most: int) -> Operation[Reserved]:
        def parse(reply: Any) -> Reserved:
            what, now, *rest = reply
            kind, now_ms = what.decode(), int(now)
            if kind == "stale":
                return Reserved(kind, now_ms, earlier=(Reservation(tenant, rest[0].decode()),))
            if kind == "full":
                return Reserved(kind, now_ms, rest[0], tuple(_reservations(rest[1:])))
            return Reserved(kind, now_ms)

        args: list[Arg] = [tenant, incarnation, actor, most, STALE_MS]
        return _RESERVE.call([self._index, self._reservations], args, parse)

    def confirm(self, tenant: str, incarnation: str, audit: list[Arg]) -> Operation[bool]:
        """The record is written. False if another has taken the reservation over."""
        return _CONFIRM.call([self._reservations, self._audit], [tenant, incarnation, *audit], bool)

    def release(self, stale: Reservation) -> Operation[bool]:
        """No record came of it. False if it is another by now."""
        return _RELEASE.call([self._index, self._reservations], [stale.tenant, stale.text], bool)

    def reservation(self, tenant: str) -> Operation[Reservation | None]:
        def parse(reply: Any) -> Reservation | None:
            return None if reply is None else Reservation(tenant, reply.decode())

        return Operation(("HGET", self._reservations, tenant), parse)

    def enlist(self, tenants: Sequence[tuple[str, str]]) -> Operation[int]:
        """List tenants (id, incarnation) whose records have been restored, fewer than 500. Who was purged
        since is left out."""
        args = [text for pair in tenants for text in pair]
        return _LIST.call([self._index, self._reservations, self._purged], args, int)

    def page(self, after: str, count: int) -> Operation[list[tuple[str, Reservation | None]]]:
        """Up to `count` ids in order that come after `after`, each with its reservation, if any."""

        def parse(reply: Any) -> list[tuple[str, Reservation | None]]:
            rows = zip(reply[::2], reply[1::2], strict=True)
            return [
                (name.decode(), Reservation(name.decode(), held.decode()) if held else None)
                for name, held in rows
            ]

        return _PAGE.call([self._index, self._reservations], [f"({after}", count], parse)


def _reservations(flat: list[bytes]) -> list[Reservation]:
    return [
        Reservation(name.decode(), text.decode()) for name, text in zip(flat[::2], flat[1::2], strict=True)
    ]
