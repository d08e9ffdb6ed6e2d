"""Carries out `record_usage`: a tenant's usage, counted exactly once (docs/usage.md)."""

from collections.abc import Sequence
from typing import Any

from riptide.streams.job import Job


async def handle(batch: Sequence[Job], ctx: Any) -> None:
    await ctx.rt.store.drive(ctx.counting.count(batch))
