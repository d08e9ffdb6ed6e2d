"""Carries out `warm`: entries are loaded before anybody asks for them (docs/warming.md).

Loading is idempotent: a job that runs again finds what it has loaded, and loads the rest. With `refresh` it
loads everything again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from commands.warm import Warm
from riptide.cache.loaders.contract import Loaded, LoaderUnavailable, LoadRequest
from riptide.cache.loaders.registry import DEFAULT_LOADER
from riptide.cache.loaders.target import shown
from riptide.cache.loading import Warmed
from riptide.cache.reading import which_exist
from riptide.cache.warming.choosing import Place
from riptide.errors import (
    Dead,
    InvalidInput,
    LoaderError,
    MultiTenancyDisabled,
    Retry,
    ServerUnavailable,
    UnknownTenant,
)
from riptide.names import DEFAULT_TENANT
from riptide.reads.context import Context
from riptide.reads.warming import chosen
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.streams.job import Job
from riptide.tenants.accounts.everybody import everybody

#: Keys that are looked up together.
_LOOKED_UP = 1000
_BUSY_PAUSE_SECONDS = 0.2
_TRIES = 3
_NAMED_KEYS = 5
_NO_TENANT = (MultiTenancyDisabled, UnknownTenant)


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    """Each job ends by itself: with a summary, as a retry for what is missing, or dead, naming keys."""
    for job in batch:
        try:
            command, tenant = cast(Warm, job.command), job.tenant or DEFAULT_TENANT
            others = await _warm_others(job, command, tenant, ctx) if command.every_tenant else {}
            last = job.attempt >= ctx.settings.workers.max_attempts
            job.result = others | await warm(command, tenant, ctx, job.progress, last=last)
        except _NO_TENANT as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)


async def _warm_others(job: Job, command: Warm, tenant: str, ctx: Context) -> dict[str, Any]:
    """Publish the same for the other tenants, once however often the job is run."""
    store, settings = ctx.rt.store, ctx.settings
    everyone = await store.drive(everybody(Keys(settings.cache.key_prefix), settings.tenant))
    others = [facts.tenant for facts in everyone if facts.tenant != tenant and facts.status == "active"]
    alone = Warm.model_validate({**command.model_dump(exclude_unset=True), "every_tenant": False})
    for other in others:
        await ctx.rt.publish(alone, tenant=other, key=f"{job.ref}:{other}")
    return {"tenants": len(others)}


async def warm(
    command: Warm, tenant: str, ctx: Context, progress: Callable[[int, int], None], *, last: bool = True
) -> dict[str, Any]:
    """Load what is missing; answer the counts. `progress` is told how many keys of how many are settled.

    Raises Retry or Dead if not every key ended well. Of keys that nobody asked for by name those that cannot
    be loaded are told of, and no more, and so are those that could not, in the `last` try.
    """
    if command.loader:
        ctx.loaders.require(command.loader)
    loop = asyncio.get_running_loop()
    started = loop.time()
    places, told = await chosen(command, tenant, ctx.rt)
    loading = _Loading(command, tenant, ctx, lambda settled: progress(settled, len(places)))
    size = ctx.settings.cache.warming_batch_size
    for start in range(0, len(places), _LOOKED_UP):
        missing = await loading.look_up(places[start : start + _LOOKED_UP])
        for at in range(0, len(missing), size):
            await loading.load(missing[at : at + size])
    summary = loading.summary() | told | {"seconds": round(loop.time() - started, 3)}
    ctx.log.info("warmed", tenant=tenant, source=command.source, **summary)
    guessed = command.source not in {None, "list"}
    if loading.postponed and not (guessed and last):
        raise Retry(loading.postponed.report("could not be loaded now"))
    if loading.refused and not guessed:
        raise Dead(loading.refused.report("cannot be loaded"))
    reports = [one.report(what) for one, what in loading.failures() if one]
    return summary | ({"problems": reports} if reports else {})


class _Failures:
    """How many keys ended so, and why the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def __len__(self) -> int:
        return self.count

    def add(self, key: str, error: Exception) -> None:
        self.count += 1
        if len(self._named) < _NAMED_KEYS:
            text = str(error)
            self._named.append(text if text.startswith(shown(key)) else f"{shown(key)}: {text}")

    def report(self, what: str) -> str:
        more = f", and {self.count - len(self._named)} more" if self.count > len(self._named) else ""
        return f"{self.count} of its keys {what}: {'; '.join(self._named)}{more}"


class _Loading:
    """One job's loads and what became of them."""

    def __init__(self, command: Warm, tenant: str, ctx: Context, progress: Callable[[int], None]) -> None:
        self._command = command
        self._progress = progress
        self._tenant = tenant
        self._ctx = ctx
        self._counts = Counter[str]()
        self._bytes = 0
        #: What was not loaded, and will not be by another try.
        self.refused = _Failures()
        #: What was not loaded this time.
        self.postponed = _Failures()

    def summary(self) -> dict[str, Any]:
        """Counts of keys, and the bytes of the loaded values before compression."""
        return {
            "loaded": self._counts["loaded"],
            "present": self._counts["present"],
            "absent": self._counts["missing"],
            "failed": len(self.refused) + len(self.postponed),
            "bytes": self._bytes,
        }

    def failures(self) -> list[tuple[_Failures, str]]:
        return [(self.refused, "cannot be loaded"), (self.postponed, "could not be loaded")]

    async def look_up(self, places: Sequence[Place]) -> Sequence[Place]:
        """Those that are to be loaded: with `refresh` all, else what is missing."""
        missing = places
        if not self._command.refresh:
            missing = await self._ctx.rt.store.drive(self._missing(places))
        self._counts["present"] += len(places) - len(missing)
        self._tell()
        return missing

    def _missing(self, places: Sequence[Place]) -> Flow[list[Place]]:
        core = self._ctx.cache.core
        spaces = {}
        for namespace in {namespace for namespace, _ in places}:
            known = core.space(self._tenant, namespace)
            spaces[namespace] = known or (yield from core.find(self._tenant, namespace))
        there = yield from which_exist((spaces[namespace], key) for namespace, key in places)
        return [place for place, found in zip(places, there, strict=True) if not found]

    async def load(self, places: Sequence[Place]) -> None:
        """Load them, as many at a time as the loaders allow."""
        async with asyncio.TaskGroup() as group:
            for place in places:
                group.create_task(self._settle(*place))

    async def _settle(self, namespace: str, key: str) -> None:
        """Warm one key. Its failure must not end the others' loads."""
        try:
            warmed = await self._warmed(namespace, key)
        except (LoaderUnavailable, ServerUnavailable) as error:
            self.postponed.add(key, error)
        except (LoaderError, InvalidInput, *_NO_TENANT) as error:
            self.refused.add(key, error)
        except Exception as error:  # noqa: BLE001 - unknown: another try may succeed
            self.postponed.add(key, error)
        else:
            self._counts[warmed.outcome] += 1
            self._bytes += warmed.value_bytes
        self._tell()

    def _tell(self) -> None:
        self._progress(self._counts.total() + len(self.refused) + len(self.postponed))

    async def _warmed(self, namespace: str, key: str) -> Warmed:
        """'loaded', 'present' or 'missing'. A load that an invalidation or a write overtook is done again."""
        for _ in range(_TRIES):
            warmed = await self._once_free(namespace, key)
            if warmed.outcome != "refused":
                return warmed
        raise Retry("it was invalidated whenever it was loaded, or the cache had no room for it")

    async def _once_free(self, namespace: str, key: str) -> Warmed:
        # Whoever loads the key may have died with its lease: only an entry proves that the work is done.
        while True:
            async with self._ctx.loaders.background(self._loader(namespace), key):
                warmed: Warmed = await self._ctx.cache.warm(
                    key,
                    partial(self._load, namespace, key),
                    refresh=self._command.refresh,
                    ttl=self._command.ttl,
                    tenant=self._tenant,
                    namespace=namespace,
                )
            if warmed.outcome != "busy":
                return warmed
            await asyncio.sleep(_BUSY_PAUSE_SECONDS)

    async def _load(self, namespace: str, key: str) -> Loaded:
        request = LoadRequest(self._tenant, namespace, key)
        return await self._ctx.loaders.load(self._loader(namespace), request)

    def _loader(self, namespace: str) -> str:
        own = self._ctx.settings.cache.namespace_loaders
        return self._command.loader or own.get(namespace, DEFAULT_LOADER)
