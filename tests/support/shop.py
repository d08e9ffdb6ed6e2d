"""A user's own package: commands, a handler that has bad days, one in batches, and loaders."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from riptide import Command, Dead, Handler, Job, Retry, Skip


class Reserve(Command):
    """Reserve goods for an order."""

    type: ClassVar[str] = "reserve"
    order: str
    #: How the days of the shop go: at the n-th attempt this happens.
    days: tuple[str, ...] = Field((), strict=False)


class Ship(Command):
    """Ship an order that has been reserved."""

    type: ClassVar[str] = "ship"
    order: str


class Count(Command):
    """Count the stock."""

    type: ClassVar[str] = "count_stock"
    tenant_required: ClassVar[bool] = False
    slot: str = ""


async def reserve(batch: Sequence[Job], ctx: Any) -> None:
    for job in batch:
        day = dict(enumerate(job.command.days, 1)).get(job.attempt, "good")
        if day == "busy":
            raise Retry("the shop is busy", delay=3600)
        if day == "fire":
            raise OSError("the shop is on fire")
        if day == "closed":
            raise Dead("the shop has closed")
        if day == "holiday":
            raise Skip("nobody orders on a holiday")
        job.result = {"order": job.command.order, "attempt": job.attempt}
        await ctx.rt.publish(Ship(order=job.command.order), tenant=job.tenant)


async def ship(batch: Sequence[Job], ctx: Any) -> None:
    for job in batch:
        await ctx.cache.set(
            job.command.order, {"shipped_with": len(batch)}, tenant=job.tenant, namespace="orders"
        )


async def count_stock(batch: Sequence[Job], ctx: Any) -> None:
    for job in batch:
        job.result = job.command.slot


async def price(request: Any) -> dict[str, str]:
    return {"price_of": request.key, "for": request.tenant}


COMMANDS = [Reserve, Ship, Count]
HANDLERS = {
    "reserve": Handler(reserve, slots=2),
    "ship": Handler(ship, batch_size=10),
    "count_stock": Handler(count_stock),
}
LOADERS = {"price": price, "shout": lambda request: request.key.upper()}
