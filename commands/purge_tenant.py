"""Remove every key of a tenant."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from commands._base import Command


class PurgeTenant(Command):
    """Remove all that a tenant has, in bounded steps. What remains is one audit record."""

    type: ClassVar[str] = "purge_tenant"
    administrative: ClassVar[bool] = True

    incarnation: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"),
        Field(description="Which tenant of that id; one made later under the same id is left alone."),
    ]
    note: Annotated[str, Field(max_length=1000, description="Why; kept in the audit record.")] = ""
