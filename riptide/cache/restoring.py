"""Entries that were spilled come back when they are read. Nobody who reads hears of what is in the way of
that: then it is a miss."""

import hashlib
from collections.abc import Sequence
from functools import partial

from riptide.cache.accounts.room import Over, write_with_room
from riptide.cache.codec import Damaged
from riptide.cache.core import Core
from riptide.cache.entry import Miss
from riptide.cache.sending import place_of
from riptide.cache.space import Shard
from riptide.cache.spill.returning import Found, Spilled
from riptide.cache.spill.spill import Spill
from riptide.cache.spill.stub import reference_in
from riptide.errors import BlobNotFound
from riptide.store.operation import Flow, Operation, ask, identity
from riptide.store.script import Script
from riptide.tenants.accounts.account import ask_settled

_DISCARD = Script.load("riptide.cache", "discard.lua")
_TRIES = 5


def discard(shard: Shard, digest: str, data: bytes) -> Flow[None]:
    """Remove an entry, unless it has been replaced meanwhile."""
    sha = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    operation = shard.account.call(_DISCARD, [shard.entry(digest)], [sha, shard.member(digest)], int)
    yield from ask_settled(shard.account, operation)


def bring_back(core: Core, several: Sequence[Spilled]) -> Flow[list[bytes | Miss]]:
    """The entries as they were before they were spilled, and in memory again if there is room; or why one
    cannot be had, counted. What is lost is removed."""
    spill = core.spill
    if spill is None:
        return [Miss.UNREACHABLE] * len(several)
    found = yield from spill.returning.fetch(several)
    answers: list[bytes | Miss] = []
    for one, got in zip(several, found, strict=True):
        answers.append((yield from _settled(core, spill, one, got)))
    return answers


def _settled(core: Core, spill: Spill, one: Spilled, got: Found) -> Flow[bytes | Miss]:
    shard, tally = one.shard, one.shard.space.tally
    for _ in range(_TRIES):
        if got.error is None:
            yield from spill.returning.put_back(one, got, partial(_with_room, core))
            return got.data
        if isinstance(got.error, BlobNotFound):
            # Another reader may have put it back, or somebody has written another one.
            data = yield from ask(Operation(("GET", shard.entry(one.digest)), identity))
            if data is None:
                return Miss.ABSENT
            if data == one.stub:
                tally.lost += 1
                yield from discard(shard, one.digest, data)
                return Miss.LOST
            if not reference_in(data):
                return bytes(data)
            one = one._replace(stub=data)
            (got,) = yield from spill.returning.fetch([one])
            continue
        if isinstance(got.error, Damaged):
            tally.damaged += 1
            yield from discard(shard, one.digest, one.stub)
            return Miss.DAMAGED
        break
    tally.errors += 1
    return Miss.UNREACHABLE


def _with_room(core: Core, shard: Shard, over: Over, size: int, write: Operation[int | Over]) -> Flow[object]:
    place = yield from place_of(core, shard)
    return (yield from write_with_room(core.settings, place, over, size, write))
