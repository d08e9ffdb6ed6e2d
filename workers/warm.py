"""Carries out `warm`: entries are loaded before anybody asks for them (DESIGN §5).

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
from riptide.streams.job import Job

_BUSY_PAUSE_SECONDS = 0.2
_TRIES = 3
_NAMED_KEYS = 5
_NO_TENANT = (MultiTenancyDisabled, UnknownTenant)


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    """Each job ends by itself: with a summary, as a retry for what is missing, or dead, naming keys."""
    for job in batch:
        try:
            command, tenant = cast(Warm, job.command), job.tenant or DEFAULT_TENANT
            job.result = await warm(command, tenant, ctx, job.progress)
        except _NO_TENANT as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)


async def warm(
    command: Warm, tenant: str, ctx: Context, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Load what is missing; answer the counts. `progress` is told how many keys of how many are settled.

    Raises Retry or Dead if not every key ended well.
    """
    ctx.loaders.require(command.loader or DEFAULT_LOADER)
    loop = asyncio.get_running_loop()
    started = loop.time()
    keys = list(dict.fromkeys(command.keys or _keys_of_source(command, ctx)))
    loading = _Loading(command, tenant, ctx, lambda settled: progress(settled, len(keys)))
    size = ctx.settings.cache.warming_batch_size
    for start in range(0, len(keys), size):
        await loading.step(keys[start : start + size])
    summary = loading.summary() | {"seconds": round(loop.time() - started, 3)}
    ctx.log.info("warmed", namespace=command.namespace, **summary)
    if loading.postponed:
        raise Retry(_report("could not be loaded now", loading.postponed))
    if loading.refused:
        raise Dead(_report("cannot be loaded", loading.refused))
    return summary


def _keys_of_source(command: Warm, ctx: Context) -> Sequence[str]:
    if command.source == "list":
        return ctx.settings.cache.warm_list[: command.top]
    raise Dead(
        f"source {command.source!r} comes with a later release; until then give keys, or source 'list'"
    )


def _report(what: str, errors: dict[str, Exception]) -> str:
    """Names some of the keys; the command itself holds all of them."""
    named = [_about(key, str(error)) for key, error in list(errors.items())[:_NAMED_KEYS]]
    more = f", and {len(errors) - len(named)} more" if len(errors) > len(named) else ""
    return f"{len(errors)} of its keys {what}: {'; '.join(named)}{more}"


def _about(key: str, error: str) -> str:
    return error if error.startswith(shown(key)) else f"{shown(key)}: {error}"


class _Loading:
    """One job's loads and what became of them."""

    def __init__(self, command: Warm, tenant: str, ctx: Context, progress: Callable[[int], None]) -> None:
        self._command = command
        self._progress = progress
        self._tenant = tenant
        self._ctx = ctx
        self._counts = Counter[str]()
        self._bytes = 0
        #: Why a key was not loaded, and will not be by another try.
        self.refused: dict[str, Exception] = {}
        #: Why a key was not loaded this time.
        self.postponed: dict[str, Exception] = {}

    def summary(self) -> dict[str, Any]:
        """Counts of keys, and the bytes of the loaded values before compression."""
        return {
            "loaded": self._counts["loaded"],
            "present": self._counts["present"],
            "absent": self._counts["missing"],
            "failed": len(self.refused) + len(self.postponed),
            "bytes": self._bytes,
        }

    async def step(self, keys: Sequence[str]) -> None:
        """Look all of `keys` up, then load what is missing, as many at a time as the loaders allow."""
        missing = keys if self._command.refresh else await self._missing(keys)
        self._counts["present"] += len(keys) - len(missing)
        self._tell()
        async with asyncio.TaskGroup() as group:
            for key in missing:
                group.create_task(self._settle(key))

    async def _missing(self, keys: Sequence[str]) -> list[str]:
        where = {"tenant": self._tenant, "namespace": self._command.namespace}
        there = await asyncio.gather(*(self._ctx.cache.exists(key, **where) for key in keys))
        return [key for key, found in zip(keys, there, strict=True) if not found]

    async def _settle(self, key: str) -> None:
        """Warm one key. Its failure must not end the others' loads."""
        try:
            warmed = await self._warmed(key)
        except (LoaderUnavailable, ServerUnavailable) as error:
            self.postponed[key] = error
        except (LoaderError, InvalidInput, *_NO_TENANT) as error:
            self.refused[key] = error
        except Exception as error:  # noqa: BLE001 - unknown: another try may succeed
            self.postponed[key] = error
        else:
            self._counts[warmed.outcome] += 1
            self._bytes += warmed.value_bytes
        self._tell()

    def _tell(self) -> None:
        self._progress(self._counts.total() + len(self.refused) + len(self.postponed))

    async def _warmed(self, key: str) -> Warmed:
        """'loaded', 'present' or 'missing'. A load that an invalidation or a write overtook is done again."""
        for _ in range(_TRIES):
            warmed = await self._once_free(key)
            if warmed.outcome != "refused":
                return warmed
        raise Retry("it was invalidated whenever it was loaded, or the cache had no room for it")

    async def _once_free(self, key: str) -> Warmed:
        # Whoever loads the key may have died with its lease: only an entry proves that the work is done.
        while True:
            async with self._ctx.loaders.background:
                warmed: Warmed = await self._ctx.cache.warm(
                    key,
                    partial(self._load, key),
                    refresh=self._command.refresh,
                    ttl=self._command.ttl,
                    tenant=self._tenant,
                    namespace=self._command.namespace,
                )
            if warmed.outcome != "busy":
                return warmed
            await asyncio.sleep(_BUSY_PAUSE_SECONDS)

    async def _load(self, key: str) -> Loaded:
        request = LoadRequest(self._tenant, self._command.namespace, key)
        return await self._ctx.loaders.load(self._command.loader or DEFAULT_LOADER, request)
