"""What all parts of one worker stand on."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from riptide.config import Settings
from riptide.store.aio import AsyncStore
from riptide.store.keys import PARTITIONS, Keys
from riptide.streams.members import Members
from riptide.streams.registry import CommandType
from riptide.streams.slots import Slots
from riptide.streams.takeover import PartitionOps
from riptide.streams.tasks import Tasks


class Configured(Protocol):
    """The deployment's configuration, as far as this process follows it."""

    @property
    def version(self) -> str:
        """Which one it has."""
        ...

    async def hear(self, version: str) -> None:
        """The current one is `version`."""
        ...


@dataclass(frozen=True)
class Ground:
    settings: Settings
    store: AsyncStore
    keys: Keys
    #: What it serves, by name.
    types: Mapping[str, CommandType]
    partitions: Mapping[str, PartitionOps]
    members: Members
    slots: Slots
    tasks: Tasks
    #: Set when the worker is to end.
    stop: asyncio.Event
    configured: Configured | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        types: Sequence[CommandType],
        store: AsyncStore,
        configured: Configured | None = None,
    ) -> "Ground":
        keys = Keys(settings.cache.key_prefix)
        by_name = {kind.name: kind for kind in types}
        return cls(
            settings,
            store,
            keys,
            by_name,
            {p: PartitionOps(keys, list(by_name), p) for p in PARTITIONS},
            Members(keys),
            Slots(types, settings.workers.concurrency, fair=settings.tenant.enabled),
            Tasks(),
            asyncio.Event(),
            configured,
        )
