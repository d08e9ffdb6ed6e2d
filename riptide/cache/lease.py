"""Leases: the right to load a key, one caller at a time; void once the key is invalidated or written."""

import os
import secrets
from dataclasses import dataclass
from typing import Any

from riptide.cache.core import Core
from riptide.cache.space import Shard, Space
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.tenants.accounts.account import answer

_LEASE = Script.load("riptide.cache", "lease.lua")
_RELEASE = Script.load("riptide.cache", "release.lua")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A caller's request for a lease. Its token is the caller's own: a repeated request changes nothing."""

    shard: Shard
    digest: str
    token: bytes

    @classmethod
    def of(cls, space: Space, key: str) -> "Ticket":
        return cls(*space.place(key), secrets.token_bytes(16))


@dataclass(frozen=True, slots=True)
class Answer:
    """`state`: 'hit' (the entry is fresh), 'load' (the lease is yours) or 'wait'; `entry` may be b''."""

    state: str
    server_ms: int
    epoch: bytes | None
    entry: bytes


def take(core: Core, ticket: Ticket, *, force: bool = False) -> Operation[Answer]:
    """Ask for the entry or the right to load it; `force` loads a fresh one too, and takes over a lease.

    Raises FactsOutdated.
    """
    shard, digest = ticket.shard, ticket.digest
    names = [
        shard.entry(digest),
        shard.epoch,
        shard.lease(digest),
        shard.namespaces,
        shard.generation,
        shard.account.record,
    ]
    forced = "1" if force else "0"
    arguments = (ticket.token, core.lease_ms, os.urandom(4), shard.namespace, forced, shard.incarnation)
    return _LEASE.call(names, arguments, answer(_answer))


def _answer(reply: Any) -> Answer:
    state, server_ms, epoch, entry = reply
    return Answer(state.decode(), server_ms, epoch, entry)


def release(ticket: Ticket) -> Operation[int]:
    return _RELEASE.call([ticket.shard.lease(ticket.digest)], [ticket.token], int)
