"""Carries out `record_access`: statistics of tenants and what they read most, each report counted once
(docs/cache.md).
"""

from collections.abc import Sequence
from typing import Any

from riptide.streams.job import Job


async def handle(batch: Sequence[Job], ctx: Any) -> None:
    await ctx.rt.store.drive(ctx.accesses.count(batch))
