"""Cache-aside: one caller loads, the others wait or take the stale value (docs/failure-behaviour.md).

What is loaded is stored only if nothing was invalidated or written since the lease was taken. The caller that
loaded it gets it in any case: its read began before the invalidation ended. It gets what a hit would yield,
not what the loader returned: a tuple is a list for the first who asks too.
"""

import random
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal, NamedTuple

from redis.exceptions import OutOfMemoryError

from riptide.cache import lease
from riptide.cache.core import Core
from riptide.cache.entry import Aging, Miss, open_packed
from riptide.cache.lease import Answer, Ticket
from riptide.cache.loaders.contract import Loaded
from riptide.cache.reading import opened, read, value_of
from riptide.cache.sending import TENANT_ERRORS, Write, count_write, encrypt, resolve, write
from riptide.cache.space import Space
from riptide.cache.writing import MISSING, Options, prepare
from riptide.errors import BlobError, LoaderNotFound, ServerRefused, ServerUnavailable
from riptide.store.operation import Call, Flow, Pause, ask

_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.1
_TRIES = 5

RAISE: Any = object()
_REMOVED = frozenset({Miss.DAMAGED, Miss.FOREIGN, Miss.LOST, Miss.ABSENT})

Load = Callable[[], Any]


class Warmed(NamedTuple):
    """What came of warming one key, and the bytes of the value before compression if it was loaded.

    'loaded'; 'present', or 'busy' because another loads it: nothing to do; 'missing' at the origin; 'refused'
    because it was invalidated or written meanwhile.
    """

    outcome: Literal["loaded", "present", "busy", "missing", "refused"]
    value_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A value or MISSING; and if the value is stale, the flow that loads a fresh one, for the background."""

    value: Any
    refresh: Flow[None] | None = None

    def value_or(self, default: Any, key: str) -> Any:
        """The value; for MISSING the default, or LoaderNotFound without one."""
        if self.value is not MISSING:
            return self.value
        if default is RAISE:
            raise LoaderNotFound(f"the origin has no value for {key!r:.80}")
        return default


@dataclass(frozen=True, slots=True)
class Job:
    """One key to be loaded."""

    core: Core
    space: Space
    key: str
    load: Load
    options: Options
    #: Nothing can be learnt of the tenant, because the server cannot be reached: only the loader is asked.
    alone: bool = False


def get_or_load(job: Job, *, refresh: bool = False) -> Flow[Found]:
    """The cached value, or what the loader says. Raises what the loader raises, but for LoaderNotFound."""
    core, tally, ticket = job.core, job.space.tally, Ticket.of(job.space, job.key)
    if (demand := job.space.demand) is not None:
        demand.reads[job.key] += 1
    if job.alone:
        return (yield from _load_alone(job))
    if not refresh:
        began = tally.begin()
        try:
            pair = yield from ask(read(ticket.shard, ticket.digest))
            value = yield from value_of(core, ticket.shard, ticket.digest, pair)
        except ServerUnavailable as error:
            return (yield from _without_server(job, error))
        if began:
            tally.end(began)
        if value is Miss.NEGATIVE or not isinstance(value, Miss):
            tally.hits += 1
            return Found(_or_missing(value))
    tally.misses += 1
    return (yield from _lease_or_wait(job, ticket, refresh))


def _lease_or_wait(job: Job, ticket: Ticket, refresh: bool) -> Flow[Found]:
    core = job.core
    # A pause longer than a lease: whoever waits for a dead loader finds the lease free before giving up.
    give_up = core.clock.monotonic() + core.lease_ms / 1000 + _LONGEST_PAUSE_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            job, ticket, answer = yield from _take(job, ticket, refresh)
            core.time.learn(answer.server_ms)
            ticket.shard.seen_epoch = answer.epoch or ticket.shard.seen_epoch
            value = yield from _open(core, ticket, answer)
        except ServerUnavailable as error:
            return (yield from _without_server(job, error))
        if answer.state == "hit":
            if _is_removed(value):
                continue  # the next answer is another
            if value is Miss.UNREACHABLE:
                refresh = True  # the blob store fails: it is loaded as if there were none
                continue
            return Found(_or_missing(value))
        stale = not refresh and not isinstance(value, Miss)
        if answer.state == "load":
            if stale:
                return Found(value, _in_background(job, ticket))
            item, _ = yield from _load_and_fill(job, ticket)
            return Found(_yielded(core, item))
        if stale:
            return Found(value)
        if core.clock.monotonic() >= give_up:
            # Others kept the lease for its whole length: help ourselves, and store nothing.
            return (yield from _load_alone(job))
        yield Pause(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _without_server(job: Job, error: ServerUnavailable) -> Flow[Found]:
    """An outage is a miss, where it may be one."""
    job.core.bear(error)
    job.space.tally.errors += 1
    return (yield from _load_alone(job))


def _load_alone(job: Job) -> Flow[Found]:
    """Load for this caller, and store nothing."""
    return Found(_yielded(job.core, (yield from _load_and_pack(job))))


def warm(job: Job, *, refresh: bool = False) -> Flow[Warmed]:
    """Load one key before anybody asks."""
    ticket = Ticket.of(job.space, job.key)
    while True:
        job, ticket, answer = yield from _take(job, ticket, refresh)
        if answer.state == "wait":
            return Warmed("busy")
        if answer.state == "load":
            item, stored = yield from _load_and_fill(job, ticket)
            if not stored:
                return Warmed("refused")
            return Warmed("missing") if item.negative else Warmed("loaded", item.value_bytes)
        if not _is_removed((yield from _open(job.core, ticket, answer))):
            return Warmed("present")


def _take(job: Job, ticket: Ticket, refresh: bool) -> Flow[tuple[Job, Ticket, Answer]]:
    """The server's answer, and for whom it is: the tenant may have to be learnt anew.

    Raises TenantNotActive, UnknownTenant.
    """

    def flow(space: Space) -> Flow[tuple[Job, Ticket, Answer]]:
        current, mine = job, ticket
        if space is not job.space:
            space.facts.require_active()
            current, mine = replace(job, space=space), Ticket.of(space, job.key)
        return current, mine, (yield from ask(lease.take(job.core, mine, force=refresh)))

    return (yield from job.core.keep_up(job.space, flow))


def _open(core: Core, ticket: Ticket, answer: Answer) -> Flow[Any]:
    if not answer.entry or answer.epoch is None:
        return Miss.ABSENT
    value = yield from opened(core, ticket.shard, ticket.digest, answer.entry, answer.epoch)
    return value.value if type(value) is Aging else value


def _is_removed(value: Any) -> bool:
    return isinstance(value, Miss) and value in _REMOVED


def _or_missing(value: Any) -> Any:
    return MISSING if value is Miss.NEGATIVE else value


def _load_and_fill(job: Job, ticket: Ticket, *, release: bool = True) -> Flow[tuple[Write, bool]]:
    """Load under the lease and store. The entry, and whether it could be stored."""
    try:
        item = yield from _load_and_pack(job)
    except (Exception, CancelledError):
        if release:
            with suppress(ServerUnavailable):
                yield from ask(lease.release(ticket))
        raise
    stored = yield from _fill(job.core, ticket, item)
    return item, stored


def _in_background(job: Job, ticket: Ticket) -> Flow[None]:
    """Refresh a stale value. A failure keeps the lease: a failing origin is not asked by every reader."""
    yield from _load_and_fill(job, ticket, release=False)


def _load_and_pack(job: Job) -> Flow[Write]:
    """Raises what the loader raises, but for LoaderNotFound; InvalidInput for what cannot be cached."""
    job.space.tally.loads += 1
    began = perf_counter()
    try:
        loaded = yield Call(job.load)
    except LoaderNotFound:
        loaded = MISSING
    if (demand := job.space.demand) is not None:
        demand.loaded(job.key, round((perf_counter() - began) * 1e6))
    return _prepare(job, loaded)


def _prepare(job: Job, loaded: Any) -> Write:
    if not isinstance(loaded, Loaded):
        return prepare(job.core, job.space, job.key, loaded, job.options)
    metadata = job.options.metadata
    options = job.options._replace(
        ttl=job.options.ttl if loaded.ttl is None else loaded.ttl,
        metadata=replace(
            metadata,
            content_type=loaded.content_type or metadata.content_type,
            source=loaded.source or metadata.source,
            tags=(*metadata.tags, *loaded.tags),
        ),
    )
    return prepare(job.core, job.space, job.key, loaded.value, options)


def _yielded(core: Core, item: Write) -> Any:
    return MISSING if item.negative else open_packed(item.plain, core.codec)


def _fill(core: Core, ticket: Ticket, item: Write) -> Flow[bool]:
    """Store under the lease. What keeps it from being stored is counted: the value is at hand, and the caller
    gets it."""
    written, tally = False, item.shard.space.tally
    try:
        for _ in range(_TRIES):
            yield from encrypt(core, item)
            reply = yield from ask(write(item, ticket.token))
            written = reply == 1 or (reply != 0 and (yield from resolve(core, item, reply, ticket.token)))
            if written or reply == 0:
                break
    except TENANT_ERRORS:
        tally.errors += 1
        return False
    except (ServerUnavailable, ServerRefused, BlobError) as error:
        if isinstance(error, ServerRefused) and not isinstance(error.__cause__, OutOfMemoryError):
            raise
        tally.errors += 1
        return False
    if written:
        count_write(item)
    else:
        tally.refused += 1
    return written
