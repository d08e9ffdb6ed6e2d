"""The scripts on one session, or on the list of them: how each is called, and what its answer means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from riptide.state.sessions.packing import DATA, META
from riptide.state.sessions.session import MOST_BYTES, MOST_FIELDS
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.tenants.accounts.account import answer
from riptide.tenants.facts import Facts

_PACKAGE = "riptide.state.sessions"
_CREATE = Script.load(_PACKAGE, "create.lua")
_UPDATE = Script.load(_PACKAGE, "update.lua")
_REPLACE = Script.load(_PACKAGE, "replace.lua")
_TOUCH = Script.load(_PACKAGE, "touch.lua")
_TERMINATE = Script.load(_PACKAGE, "terminate.lua")
_RESTORE = Script.load(_PACKAGE, "restore.lua")
_PAGE = Script.load(_PACKAGE, "page.lua")
# Beside its data a session has up to seven fields.
_OWN_FIELDS = 7
_SUMMARY = (META, "created", "expires", "ttl", "rev", "blob")


class Created(NamedTuple):
    created_ms: int
    expires: int


class Over(NamedTuple):
    """There are as many sessions as the tenant may have."""

    sessions: int
    most: int


class Spilled(NamedTuple):
    """The data is in this blob: `<name>:<bytes>`."""

    blob: str


class TooLarge(NamedTuple):
    """What there would be; of `fields` 0 if they are not too many."""

    bytes: int
    fields: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as it is on the server: `fields` are its data, as they are stored."""

    meta: bytes
    created_ms: int
    expires: int
    ttl: int
    rev: int
    blob: str | None
    fields: Mapping[str, bytes]

    def with_fields(self, fields: Mapping[str, bytes]) -> "Stored":
        return replace(self, fields=fields)


class Home:
    """Where a tenant's sessions are. Built once, because each call needs all of it."""

    __slots__ = ("account", "blobs", "facts", "names", "prefix", "users")

    def __init__(self, keys: Keys, facts: Facts) -> None:
        tenant = facts.tenant
        self.facts = facts
        self.prefix = keys.session(tenant, "")
        #: The first three KEYS of all scripts that change a session.
        self.names = keys.session_account(tenant), keys.session_index(tenant), keys.record(tenant)
        #: Two more of those that may move its data.
        self.blobs = keys.session_spilled(tenant), keys.session_blobs(tenant)
        self.users = keys.session_users(tenant)
        self.account = keys.account(tenant)


class Place:
    """One session's place."""

    __slots__ = ("_home", "facts", "id", "name")

    def __init__(self, home: Home, session_id: str) -> None:
        self._home, self.facts, self.id = home, home.facts, session_id
        self.name = home.prefix + session_id

    @property
    def about(self) -> bytes:
        """What its fields are bound to, beside their names."""
        return f"{self.name}\0{self.facts.incarnation}\0".encode()

    @property
    def names(self) -> list[str]:
        """The first KEYS of all scripts that change it."""
        return [*self._home.names, self.name]

    @property
    def blobs(self) -> tuple[str, str]:
        return self._home.blobs

    @property
    def tenant_account(self) -> str:
        return self._home.account

    @property
    def head(self) -> list[Arg]:
        """The first three ARGV of all scripts that change it."""
        return [self.facts.incarnation, self.facts.key, self.id]

    def create(
        self, most: int, ttl: int, user: str, fields: Mapping[str, bytes]
    ) -> Operation[Created | Over]:
        names = [*self.names, self._home.users]
        return _CREATE.call(names, [*self.head, most, ttl, user, *_flat(fields)], answer(_created))

    def read(self) -> Operation[Stored | None]:
        return Operation(("HGETALL", self.name), stored)

    def summary(self) -> Operation[Stored | None]:
        """The same without its data."""

        def parse(reply: Any) -> Stored | None:
            pairs = zip(_SUMMARY, reply, strict=True)
            return stored(
                [part for name, value in pairs if value is not None for part in (name.encode(), value)]
            )

        return Operation(("HMGET", self.name, *_SUMMARY), parse)

    def update(
        self, fields: Mapping[str, bytes], remove: Sequence[str]
    ) -> Operation[int | Spilled | TooLarge]:
        bounds: list[Arg] = [MOST_BYTES, MOST_FIELDS + _OWN_FIELDS]
        args = [*self.head, *bounds, len(remove), *(DATA + name for name in remove), *_flat(fields)]
        return _UPDATE.call(self.names, args, answer(_changed))

    def update_at_once(self, fields: Mapping[str, bytes]) -> Operation[bool | None]:
        """None where nothing was done, because more has to be."""
        args = [*self.head, MOST_BYTES, MOST_FIELDS + _OWN_FIELDS, 0, *_flat(fields)]
        return _UPDATE.call(self.names, args, _done)

    def replace(self, fields: Mapping[str, bytes]) -> Operation[int | Spilled | TooLarge]:
        args = [*self.head, MOST_BYTES, *_flat(fields)]
        return _REPLACE.call([*self.names, *self.blobs], args, answer(_changed))

    def touch(self) -> Operation[bool]:
        return _TOUCH.call([*self.names, *self.blobs], self.head, answer(bool))

    def terminate(self) -> Operation[bool]:
        names = [*self.names, *self.blobs, self._home.users]
        return _TERMINATE.call(names, self.head, answer(bool))

    def restore(self, blob: str, microseconds: int, fields: Mapping[str, bytes]) -> Operation[bool]:
        args = [*self.head, blob, microseconds, *_flat(fields)]
        return _RESTORE.call([*self.names, *self.blobs], args, answer(bool))


class Row(NamedTuple):
    """A place in the list by user; `live` unless the session has expired."""

    member: str
    live: bool

    @property
    def id(self) -> str:
        return self.member.partition(":")[2]


def page(keys: Keys, tenant: str, first: str, last: str, limit: int) -> Operation[list[Row]]:
    """`first` and `last` are as ZRANGE BYLEX takes them."""

    def parse(reply: Any) -> list[Row]:
        return [Row(reply[n].decode(), reply[n + 1] is not None) for n in range(0, len(reply), 2)]

    return _PAGE.call([keys.session_index(tenant), keys.session_users(tenant)], [first, last, limit], parse)


def stored(reply: Sequence[bytes] | dict[bytes, bytes]) -> Stored | None:
    """Of the fields and values of a session's hash, as the server or a cluster's client gives them; None if
    there are none."""
    if not reply:
        return None
    found = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    take = found.pop
    meta, blob = take(b"meta"), take(b"blob", None)
    created, expires, ttl, rev = take(b"created"), take(b"expires"), take(b"ttl"), take(b"rev")
    take(b"size", None), take(b"user", None)
    fields = {name.decode(): value for name, value in found.items()}
    return Stored(
        meta, int(created), int(expires), int(ttl), int(rev), None if blob is None else blob.decode(), fields
    )


def _flat(fields: Mapping[str, bytes]) -> list[Arg]:
    return [part for pair in fields.items() for part in pair]


def _created(reply: Any) -> Created | Over:
    return Over(*reply[1:]) if reply[0] == b"over" else Created(*reply)


def _done(reply: Any) -> bool | None:
    return bool(reply) if type(reply) is int else None


def _changed(reply: Any) -> int | Spilled | TooLarge:
    if type(reply) is not list:
        return int(reply)
    return Spilled(reply[1].decode()) if reply[0] == b"spilled" else TooLarge(*reply[1:])
