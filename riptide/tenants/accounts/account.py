"""The account of one slot of a tenant: how many entries it holds, and their bytes (docs/cache.md).

Every script that writes or removes entries keeps it (lua/parts/account.lua). An entry counts as its stored
size and ENTRY_OVERHEAD_BYTES, from the write until the second at which it expires or it is removed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from riptide.store.keys import Keys
from riptide.store.operation import Arg, Flow, Operation, ask, ask_all
from riptide.store.script import Script

T = TypeVar("T")

#: What the names, the expiry and the place in the index of one entry take on the server, about.
ENTRY_OVERHEAD_BYTES = 320

_SETTLE = Script.load("riptide.tenants.accounts", "settle.lua")
#: Why entries were removed before their time, or at it: the tenant's cap, cache.max_memory_bytes; an
#: invalidation of their namespace; their time to live.
REASONS = ("policy", "deployment", "garbage", "expired")

BEHIND: Any = type("Behind", (), {"__repr__": lambda _: "BEHIND", "__slots__": ()})()
"""Stands for a script's answer that the account has to be settled first."""


class FactsOutdated(Exception):
    """The tenant is not the one it was taken for, or not active: it has to be learnt anew. Never leaves the
    cache."""


class Balance(NamedTuple):
    """What an account holds once expired entries are taken off; `more` if that was not all of them yet.

    `garbage` is how many namespaces were invalidated and not swept yet. `more_entries` and `more_bytes` are
    by how much its part of the tenant's caps is larger than an equal one: shards lend what they do not use.
    """

    more: bool
    entries: int
    bytes: int
    garbage: int
    more_entries: int
    more_bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """An account as it stands, or the sum of several. `evicted` counts removed entries by reason, of REASONS;
    `byte_seconds` is what they held, by month like 2026-11."""

    entries: int = 0
    bytes: int = 0
    evicted: Mapping[str, int] = field(default_factory=dict)
    byte_seconds: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.entries + other.entries,
            self.bytes + other.bytes,
            _added(self.evicted, other.evicted),
            _added(self.byte_seconds, other.byte_seconds),
        )


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


class Account:
    """Keys and operations of the account of one hash tag."""

    __slots__ = ("_keys", "garbage", "index", "names", "record", "tag")

    def __init__(self, keys: Keys, tag: str) -> None:
        self._keys, self.tag = keys, tag
        self.index = keys.account_index(tag)
        #: What scripts that keep it take first.
        self.names = [keys.account(tag), self.index]
        self.garbage = keys.account_garbage(tag)
        self.record = keys.record(tag)

    def entry(self, member: str) -> str:
        """The entry of a member of the index, which is `<namespace>:<digest>`."""
        namespace, _, digest = member.partition(":")
        return self._keys.entry(self.tag, namespace, digest)

    def tag_index(self, namespace: str, tag_id: bytes) -> str:
        return self._keys.tag(self.tag, namespace, tag_id.hex())

    def epoch(self, namespace: str) -> str:
        return self._keys.epoch(self.tag, namespace)

    def settle(self, *, force: bool = False) -> Operation[Balance]:
        """Take expired entries off, in a bounded step; with `force` bring the integral up to now, too."""

        def parse(reply: Any) -> Balance:
            return Balance(bool(reply[0]), *reply[1:])

        return _SETTLE.call([*self.names, self.garbage], ["1" if force else "0"], parse)

    def held(self, months: Sequence[str] = ()) -> Operation[Figures]:
        """The account as it stands, expired entries that nobody has taken off yet included."""
        evicted = [f"evicted:{reason}" for reason in REASONS]
        seconds = [f"bs:{month}" for month in months]

        def parse(reply: Any) -> Figures:
            entries, held, *rest = (int(value or 0) for value in reply)
            return Figures(
                entries,
                held,
                dict(zip(REASONS, rest, strict=False)),
                dict(zip(months, rest[len(REASONS) :], strict=True)),
            )

        return Operation(("HMGET", self.names[0], "entries", "bytes", *evicted, *seconds), parse)

    def call(
        self, script: Script, keys: Iterable[str], args: Sequence[Arg], parse: Callable[[Any], T]
    ) -> Operation[T]:
        """A call of a script that keeps the account, and may answer BEHIND."""
        return script.call([*self.names, *keys], args, answer(parse))


def answer(parse: Callable[[Any], T]) -> Callable[[Any], T]:
    """Reads the reply of a script of the cache: its value or BEHIND; raises FactsOutdated."""

    def parsed(reply: Any) -> T:
        if type(reply) is list and reply:
            if reply[0] == b"behind":
                return BEHIND  # type: ignore[no-any-return]
            if reply[0] == b"facts":
                raise FactsOutdated
        return parse(reply)

    return parsed


def ask_settled(account: Account, operation: Operation[T]) -> Flow[T]:
    """The operation's value, after settling its account where that is behind."""
    while (value := (yield from ask(operation))) is BEHIND:
        yield from settle(account)
    return value


def ask_all_settled(pairs: Sequence[tuple[Account, Operation[T]]]) -> Flow[list[T]]:
    """Several operations in one round trip, each with its account; those that are behind once more."""
    values = yield from ask_all([operation for _, operation in pairs])
    for place, (account, operation) in enumerate(pairs):
        if values[place] is BEHIND:
            values[place] = yield from ask_settled(account, operation)
    return values


def settle(account: Account, *, force: bool = False) -> Flow[Balance]:
    """Take all expired entries off."""
    while (balance := (yield from ask(account.settle(force=force)))).more:
        pass
    return balance


def total(accounts: Iterable[Account], months: Sequence[str] = ()) -> Flow[Figures]:
    """The sum of several accounts at this moment, with the integrals of `months` up to now."""
    several = list(accounts)
    balances = yield from ask_all([account.settle(force=True) for account in several])
    for account, balance in zip(several, balances, strict=True):
        if balance.more:
            yield from settle(account, force=True)
    return sum((yield from ask_all([account.held(months) for account in several])), Figures())
