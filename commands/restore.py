"""Bring the state of a checkpoint back."""

from typing import Annotated, ClassVar

from pydantic import Field

from commands._base import Command
from commands._fields import Name, Tenants


class Restore(Command):
    """Bring back what a checkpoint holds, of all tenants or of some. Verified before anything is written."""

    type: ClassVar[str] = "restore"
    administrative: ClassVar[bool] = True
    tenant_required: ClassVar[bool] = False

    checkpoint: Annotated[Name, Field(description="The checkpoint's id.")]
    tenants: Annotated[Tenants, Field(description="Whose state to restore; left out, everybody's.")] = ()
    dry_run: Annotated[bool, Field(description="Only say what would be done.")] = False
