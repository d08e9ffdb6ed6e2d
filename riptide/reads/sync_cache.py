"""The synchronous cache: every method is one operation or one flow, sent by a store."""

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, Unpack

from riptide.cache import invalidation, loading, reading, sending, writing
from riptide.cache.access.reports import Reports
from riptide.cache.access.statistics import Statistics, statistics
from riptide.cache.buffer import WriteBuffer, flush
from riptide.cache.core import Core
from riptide.cache.decorating import key_maker
from riptide.cache.entry import Entry, Miss
from riptide.cache.loading import RAISE, Job, Load, Warmed
from riptide.cache.popularity.reading import Popular, popular
from riptide.cache.space import Space
from riptide.cache.spill.figures import EntryFigures, entry_figures
from riptide.cache.spill.spill import Spill
from riptide.cache.stats import CacheStats
from riptide.cache.writing import Keeping
from riptide.clock import Clock
from riptide.config import CacheSettings
from riptide.errors import InvalidInput, ServerRefused, ServerUnavailable, WriteBehindFull
from riptide.forking import in_children
from riptide.names import DEFAULT_TENANT
from riptide.reads.outage import dropped
from riptide.reads.sync_background import Background
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation
from riptide.store.sync import Store
from riptide.streams.publishing import Publisher
from riptide.tenants.facts import KnownTenants
from riptide.tenants.keyring.ring import KeyRing

P = ParamSpec("P")
T = TypeVar("T")


class Cache:
    """Values of tenants' namespaces. Safe to share between threads.

    Every method takes `tenant` and `namespace`, both "default" if left out; it raises InvalidInput for
    bad names, keys and durations before anything is sent, UnknownTenant (with multi-tenancy off
    MultiTenancyDisabled) for a tenant that is not there, and ServerUnavailable when the server cannot be
    reached; but reads are misses then, unless `cache.on_outage` says otherwise. What writes raises
    QuotaExceeded or TenantNotActive, too, and takes the keyword arguments of `Keeping`: ttl and stale in
    seconds, tags, version, content_type, source, attributes.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        settings: CacheSettings,
        tenants: KnownTenants,
        clock: Clock | None = None,
        ring: KeyRing | None = None,
        publisher: Publisher | None = None,
        spill: Spill | None = None,
        in_use: Callable[[], bool] = lambda: True,
    ) -> None:
        """With a `publisher` what is done is reported, for `statistics`. While it is not `in_use` what is
        decorated by `cached` is called as it is."""
        self._store = store
        self._core = Core(keys, settings, tenants, clock, ring=ring, spill=spill, clustered=store.clustered)
        self._in_use = in_use
        self._buffer = WriteBuffer(settings)
        self._begin()
        in_children(self, Cache._begin)
        self._background = Background(self.flush, settings, self._count_error)
        self._reports = None if publisher is None else Reports(self._core, publisher)
        if self._reports is not None:
            self._core.counts_keys = settings.popular_keys > 0
            self._core.on_new_space = functools.partial(self._background.start_reports, self._report)

    def _begin(self) -> None:
        self._flushing = threading.Lock()

    @property
    def core(self) -> Core:
        """What other reads of its entries share with it."""
        return self._core

    def get(
        self, key: str, default: Any = None, *, tenant: str | None = None, namespace: str | None = None
    ) -> Any:
        """The fresh value, or `default`."""
        core = self._core
        try:
            space = core.space(tenant, namespace) or self._find(tenant, namespace)
            shard, digest = space.place(key)
            if (demand := space.demand) is not None:
                demand.reads[key] += 1
            tally = space.tally
            began = tally.begin()
            pair = self._run(reading.read(shard, digest))
            value = reading.quick(core, shard, digest, pair)
            if value is reading.UNSETTLED:
                value = self._drive(reading.settle(core, shard, digest, pair, default))
            if began:
                tally.end(began)
            return value
        except ServerUnavailable as error:
            core.bear(error)
            return default

    def get_many(
        self, keys: Iterable[str], *, tenant: str | None = None, namespace: str | None = None
    ) -> dict[str, Any]:
        """The fresh values by key, in one round trip; keys without one are left out."""
        try:
            return self._drive(reading.get_many(self._core, self._space(tenant, namespace), keys))
        except ServerUnavailable as error:
            self._core.bear(error)
            return {}

    def entry(self, key: str, *, tenant: str | None = None, namespace: str | None = None) -> Entry | None:
        """The fresh value with its metadata, or None."""
        try:
            found = self.inspect(key, tenant=tenant, namespace=namespace)
        except ServerUnavailable as error:
            self._core.bear(error)
            return None
        return None if isinstance(found, Miss) or found.negative else found

    def inspect(self, key: str, *, tenant: str | None = None, namespace: str | None = None) -> Entry | Miss:
        """The entry, negative ones too; or why a read would miss. Not counted as a read. Raises
        ServerUnavailable in any case."""
        return self._drive(reading.get_entry(self._core, self._space(tenant, namespace), key))

    def exists(self, key: str, *, tenant: str | None = None, namespace: str | None = None) -> bool:
        """Whether a fresh value is there. Moves no value, so it does not notice damage."""
        try:
            return self._drive(reading.exists(self._space(tenant, namespace), key))
        except ServerUnavailable as error:
            self._core.bear(error)
            return False

    @dropped(False)
    def set(
        self,
        key: str,
        value: Any,
        *,
        tenant: str | None = None,
        namespace: str | None = None,
        **keeping: Unpack[Keeping],
    ) -> bool:
        """Write a value: bytes, or what JSON can hold. Raises EntryTooLarge; ServerRefused at maxmemory.

        A load under way for the key will not overwrite it. False only where persistence is switched off, so
        that it was dropped.
        """
        space = self._space(tenant, namespace)
        item = writing.prepare(self._core, space, key, value, writing.options(**keeping))
        if self._buffer.busy or not item.packed:
            self._after_buffered(sending.write_all(self._core, [item]), space, [key])
            return True
        reply = self._run(sending.write(item))
        if reply == 1:
            sending.count_write(item)
        else:
            self._drive(sending.complete(self._core, item, reply))
        return True

    @dropped(False)
    def set_many(
        self,
        values: Mapping[str, Any],
        *,
        tenant: str | None = None,
        namespace: str | None = None,
        **keeping: Unpack[Keeping],
    ) -> bool:
        """Write several values, up to 100 in one round trip. If one cannot be cached, none is written; what a
        cap refuses is raised when the others are written. Answers as `set` does."""
        space = self._space(tenant, namespace)
        self._after_buffered(
            writing.set_many(self._core, space, values, writing.options(**keeping)), space, list(values)
        )
        return True

    @dropped(False)
    def touch(
        self, key: str, ttl: float | None = None, *, tenant: str | None = None, namespace: str | None = None
    ) -> bool:
        """Give a fresh entry `ttl` seconds to live from now; False if there is none."""
        return self._drive(writing.touch(self._core, self._space(tenant, namespace), key, ttl))

    def delete(self, key: str, *, tenant: str | None = None, namespace: str | None = None) -> bool:
        """Invalidate one key; whether there was an entry."""
        return self.invalidate(keys=[key], tenant=tenant, namespace=namespace) > 0

    @dropped(0)
    def invalidate(
        self,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        tenant: str | None = None,
        namespace: str | None = None,
    ) -> int:
        """Invalidate keys, and all entries that bear one of the tags; how many entries were removed.

        Once it returns, no read sees what was there before, and no load that began before is stored.
        """
        space = self._space(tenant, namespace)
        return self._after_buffered(
            invalidation.by_keys_and_tags(self._core, space, self._buffer, keys, tags)
        )

    @dropped(None)
    def invalidate_namespace(self, namespace: str, *, tenant: str | None = None) -> None:
        """Invalidate a whole namespace at once, whatever its size."""
        space = self._space(tenant, namespace)
        self._after_buffered(invalidation.namespace(self._core, space, self._buffer))

    @dropped(None)
    def clear(self, *, tenant: str | None = None) -> None:
        """Invalidate all namespaces of the tenant."""
        space = self._space(tenant, None)
        self._after_buffered(invalidation.tenant(self._core, space, self._buffer))

    def get_or_load(
        self,
        key: str,
        loader: Load,
        *,
        default: Any = RAISE,
        refresh: bool = False,
        tenant: str | None = None,
        namespace: str | None = None,
        **keeping: Unpack[Keeping],
    ) -> Any:
        """The cached value, else what `loader()` returns, cached: one caller loads, others wait.

        Hit or miss, a value comes as it is stored: bytes, or what JSON makes of it (a tuple is a list, a key
        of a dict is text, a datetime ISO 8601). InvalidInput if neither can hold it.

        `loader` returns a value, a `Loaded`, or MISSING; MISSING and LoaderNotFound are remembered for
        `cache.negative_ttl_seconds`, and answered with `default`, or LoaderNotFound if none is given. What
        else it raises is raised here. With `stale`, a value past its ttl is returned at once while a thread
        loads a new one. `refresh` loads in any case.
        While the server cannot be reached everybody loads, and nothing is stored (`cache.on_outage`).
        """
        core, options = self._core, writing.options(**keeping)
        try:
            job = Job(core, self._space(tenant, namespace), key, loader, options)
        except ServerUnavailable as error:
            core.bear(error)
            job = Job(core, core.stranger(tenant, namespace), key, loader, options, alone=True)
        found = self._drive(loading.get_or_load(job, refresh=refresh))
        if found.refresh is not None:
            self._background.submit(functools.partial(self._store.drive, found.refresh))
        return found.value_or(default, key)

    @dropped(Warmed("refused"))
    def warm(
        self,
        key: str,
        loader: Load,
        *,
        refresh: bool = False,
        tenant: str | None = None,
        namespace: str | None = None,
        **keeping: Unpack[Keeping],
    ) -> Warmed:
        """Load a key that has no fresh entry (`refresh`: any key); say what came of it; wait for nobody."""
        space = self._space(tenant, namespace)
        job = Job(self._core, space, key, loader, writing.options(**keeping))
        return self._drive(loading.warm(job, refresh=refresh))

    def cached(
        self,
        *,
        key: Callable[..., str] | None = None,
        tenant: str | None = None,
        namespace: str | None = None,
        **keeping: Unpack[Keeping],
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorate a function: its results are cached by its arguments, or by what `key(*args)` returns.

        They come as `get_or_load` gives them: as they are stored. While the persistence layer is not in use
        (`use_persistence_layer`) the function is called as it is.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            if inspect.iscoroutinefunction(function):
                raise InvalidInput(f"{function.__qualname__} is asynchronous: decorate it with an AsyncCache")
            make = key_maker(function, key)

            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> T:
                if not self._in_use():
                    return function(*args, **kwargs)
                load = functools.partial(function, *args, **kwargs)
                name = make(*args, **kwargs)
                value: T = self.get_or_load(name, load, tenant=tenant, namespace=namespace, **keeping)
                return value

            return call

        return decorate

    def write_through(
        self,
        key: str,
        value: Any,
        writer: Callable[[Any], Any],
        *,
        tenant: str | None = None,
        namespace: str | None = None,
        **keeping: Unpack[Keeping],
    ) -> bool:
        """Call `writer(value)`, which writes to the origin, then cache the value, unless that raises.
        Answers as `set` does."""
        if self._store.off:
            self._store.drive(writing.call(functools.partial(writer, value)))
            return False
        space = self._space(tenant, namespace)
        self._forget_buffered(space, [key])
        item = writing.prepare(self._core, space, key, value, writing.options(**keeping))
        self._drive(writing.write_through(self._core, item, functools.partial(writer, value)))
        return True

    def write_behind(
        self,
        key: str,
        value: Any,
        *,
        wait: bool = True,
        tenant: str | None = None,
        namespace: str | None = None,
        **keeping: Unpack[Keeping],
    ) -> bool:
        """Buffer a write; it is sent, and seen, with others within `cache.write_behind_flush_seconds`.

        When the buffer is full the caller flushes it, or gets WriteBehindFull if it does not want to wait.
        What is buffered is lost if the process is killed. Answers as `set` does.
        """
        if self._store.off:
            return False
        space = self._space(tenant, namespace)
        item = writing.prepare(self._core, space, key, value, writing.options(**keeping))
        while not self._buffer.add(item):
            if not wait:
                raise WriteBehindFull(f"{len(self._buffer)} writes wait already: flush first, or let it wait")
            self.flush()
        self._background.schedule_flush()
        return True

    def flush(self) -> None:
        """Send all buffered writes now. If that fails they stay buffered."""
        with self._flushing:
            self._drive(flush(self._core, self._buffer))

    def waiting(self) -> int:
        """How many writes are buffered, or on their way."""
        return len(self._buffer)

    def stats(self) -> CacheStats:
        """What this client has done with the cache so far, for all tenants."""
        return self._core.tallies.total()

    def statistics(self, tenant: str | None = None) -> Statistics:
        """What all processes have done with a tenant's entries, as far as workers have counted it, and what
        it holds."""
        name = DEFAULT_TENANT if tenant is None else tenant
        return self._drive(statistics(self._core.keys, self._core.tenants, name))

    def popular(
        self, tenant: str | None = None, namespace: str | None = None, top: int = 100
    ) -> list[Popular]:
        """The keys whose warming spares readers most, by what all processes have read and workers have
        counted; without a `namespace` those of all. Empty for a tenant whose data is encrypted."""
        name = DEFAULT_TENANT if tenant is None else tenant
        return self._drive(popular(self._core.keys, self._core.tenants, name, namespace, top))

    def figures(self) -> EntryFigures:
        """What the entries of all tenants take, and what was spilled and restored."""
        return self._drive(entry_figures(self._core.keys, self._core.tenants.settings))

    def close(self) -> None:
        """Stop the threads, flush and report. The store is its owner's to close."""
        self._background.close()
        self.flush()
        if self._reports is not None and not self._reports.failing:
            self._report(last=True)

    def _report(self, *, last: bool = False) -> float:
        assert self._reports is not None
        return self._store.drive(self._reports.send(last=last))

    def _space(self, tenant: str | None, namespace: str | None) -> Space:
        return self._core.space(tenant, namespace) or self._find(tenant, namespace)

    def _find(self, tenant: str | None, namespace: str | None) -> Space:
        return self._drive(self._core.find(tenant, namespace))

    def _run(self, operation: Operation[T]) -> T:
        try:
            return self._store.run(operation)
        except (ServerUnavailable, ServerRefused):
            self._count_error()
            raise

    def _forget_buffered(self, space: Space, keys: Sequence[str]) -> None:
        places = [space.place(key) for key in keys]
        self._buffer.discard(space, digests={(shard.prefix, digest) for shard, digest in places})

    def _after_buffered(self, flow: Flow[T], space: Space | None = None, keys: Sequence[str] = ()) -> T:
        """Drive what must come after the buffered writes of its keys: those on their way are awaited, and
        those that wait are forgotten, by the flow itself or here."""
        if not self._buffer.busy:
            return self._drive(flow)
        with self._flushing:
            if space is not None:
                self._forget_buffered(space, keys)
            return self._drive(flow)

    def _drive(self, flow: Flow[T]) -> T:
        try:
            return self._store.drive(flow)
        except (ServerUnavailable, ServerRefused):
            self._count_error()
            raise

    def _count_error(self) -> None:
        self._core.tallies.others.errors += 1
