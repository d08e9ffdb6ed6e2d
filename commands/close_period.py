"""Seal a month's usage."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from commands._base import Command


class ClosePeriod(Command):
    """Seal a month and write its invoices, for the entry's tenant or, without one, for all."""

    type: ClassVar[str] = "close_period"
    administrative: ClassVar[bool] = True
    tenant_required: ClassVar[bool] = False

    period: Annotated[
        str,
        StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$"),
        Field(description="The month in UTC, such as `2026-11`."),
    ]
