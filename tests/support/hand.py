"""One consumer, step by step: what it takes, and what it settles."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from commands import COMMANDS
from riptide.store.aio import AsyncStore
from riptide.store.keys import GROUP
from riptide.store.operation import Flow
from riptide.streams.completion import Completion
from riptide.streams.effect import Effect
from riptide.streams.job import Applied, Job, Outcome, parse_job
from riptide.streams.message import Entry, read
from riptide.streams.takeover import PartitionOps
from tests.support.deployment import Deployment


class Hand:
    """Takes commands of one type from one partition (`place`). `judge` leaves `effect` on them, as their
    handler does."""

    def __init__(
        self,
        deployment: Deployment,
        store: AsyncStore,
        place: tuple[str, str],
        effect: Effect,
        judge: Callable[[Sequence[Job]], Flow[None]],
        name: str = "host.1.1",
    ) -> None:
        self.deployment, self.store, self.name = deployment, store, name
        self._kind, self._partition = place
        self._effect, self._judge = effect, judge
        settings = deployment.settings(tenant={"enabled": True})
        self.ops = PartitionOps(deployment.keys, [self._kind], self._partition)
        self.completion = Completion(deployment.keys, settings.streams, name)

    async def join(self) -> None:
        await self.store.run(self.ops.raise_fence(self.name))
        await self.store.run(self.ops.ensure_groups(self.name))

    async def take(self, count: int = 100) -> list[Job]:
        key = self.deployment.keys.commands(self._kind, self._partition)
        reply = await asyncio.to_thread(
            self.deployment.client.execute_command,
            "XREADGROUP", "GROUP", GROUP, self.name, "COUNT", count, "STREAMS", key, ">",
        )  # fmt: skip
        jobs = []
        for entry_id, fields in self._rows(reply):
            entry = Entry(self._kind, self._partition, entry_id, fields)
            jobs.append(parse_job(entry, read(entry, 2**20), COMMANDS[self._kind], None))
        await self.store.drive(self._judge(jobs))
        return jobs

    @staticmethod
    def _rows(reply: Any) -> list[tuple[str, list[bytes]]]:
        streams = list(reply.items()) if isinstance(reply, dict) else reply or []
        return [
            (entry.decode(), [part for pair in fields.items() for part in pair])
            for _, entries in streams
            for entry, fields in (entries[0] if entries and isinstance(entries[0][0], list) else entries)
        ]

    def outcomes(self, jobs: Sequence[Job]) -> list[tuple[Entry, Outcome]]:
        return [(job.entry, Applied(self._effect, job)) for job in jobs]

    async def settle(self, jobs: Sequence[Job]) -> list[Any]:
        return await self.store.run_all(self.completion.settle(self.outcomes(jobs)))
