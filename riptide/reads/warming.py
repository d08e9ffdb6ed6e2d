"""What a command `warm` is to load: the keys that it names, or those of its sources."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from commands import Warm
from riptide.cache.popularity.reading import MOST_TOP
from riptide.cache.warming.access_log import Logged
from riptide.cache.warming.choosing import Place, choose
from riptide.config import CacheSettings
from riptide.errors import Dead, UnknownTenant
from riptide.names import DEFAULT_NAMESPACE, DEFAULT_TENANT
from riptide.reads.aio_client import AsyncRipTide
from riptide.tenants.registry.settings import warm_list


class Chosen(NamedTuple):
    """Places in the order in which they are loaded; and what there is to tell of the sources."""

    places: list[Place]
    told: dict[str, Any]


async def chosen(command: Warm, tenant: str, rt: AsyncRipTide) -> Chosen:
    """Raises Dead for a source that cannot be read."""
    namespace = command.namespace or DEFAULT_NAMESPACE
    settings, found = rt.settings.cache, {}
    if command.source is None:
        return Chosen([(namespace, key) for key in dict.fromkeys(command.keys)], {})
    listed: Sequence[str] = ()
    if command.source in {"list", "all"}:
        listed = await _list(tenant, rt, also_common=command.source == "list" or tenant == DEFAULT_TENANT)
        listed = listed[: command.top] if command.source == "list" else listed
        found["list"] = len(listed)
    logs = command.source == "access_log" or (command.source == "all" and tenant == DEFAULT_TENANT)
    logged = await asyncio.to_thread(_read_logs, settings, command.top) if logs else Logged.enough_for(1)
    if command.source == "access_log" and not settings.warm_access_logs:
        raise Dead("cache.warm_access_logs names no file that could be read")
    best: list[Place] = []
    if command.source == "popular":
        rows = await rt.cache.popular(tenant, command.namespace, command.top)
        best = [(row.namespace, row.key) for row in rows]
    elif command.source != "list":
        rows = await rt.cache.popular(tenant, command.namespace, MOST_TOP)
        only_logged = command.source == "access_log"
        best = choose(rows, logged.reads, namespace, command.top, only_logged=only_logged)
    if command.source != "list":
        found["chosen"] = len(best)
    told: dict[str, Any] = {"sources": found}
    if logs and settings.warm_access_logs:
        told["access_log"] = logged.told()
    return Chosen(list(dict.fromkeys([(namespace, key) for key in listed] + best)), told)


async def _list(tenant: str, rt: AsyncRipTide, *, also_common: bool) -> Sequence[str]:
    """The tenant's own list; the deployment's is that of `default`, and of who has none and asks for one."""
    own = None
    if tenant != DEFAULT_TENANT:
        try:
            own = warm_list((await rt.tenants.show(tenant)).settings)
        except UnknownTenant:
            if rt.settings.tenant.isolation_level == "strong":
                raise
    if own is not None:
        return own
    return rt.settings.cache.warm_list if also_common else ()


def _read_logs(settings: CacheSettings, top: int) -> Logged:
    """Raises Dead for one that cannot be opened."""
    logged = Logged.enough_for(top)
    for name in settings.warm_access_logs:
        try:
            logged.add_file(Path(name), settings.warm_base_url)
        except OSError as error:
            raise Dead(f"cache.warm_access_logs: {name} cannot be read: {error.strerror}") from error
    return logged
