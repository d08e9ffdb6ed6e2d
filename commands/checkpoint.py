"""Write the state to the blob store."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from commands._base import Command


class Checkpoint(Command):
    """Write a checkpoint, from which `restore` can bring the state back."""

    type: ClassVar[str] = "checkpoint"
    administrative: ClassVar[bool] = True
    tenant_required: ClassVar[bool] = False

    kind: Annotated[
        Literal["manual", "scheduled", "shutdown", "emergency"], Field(description="Why it is written.")
    ] = "manual"
    scope: Annotated[
        Literal["state", "all"],
        Field(description="`state` is everything but cache entries, which `all` writes too."),
    ] = "state"
    note: Annotated[str, Field(max_length=1000, description="Shown where checkpoints are listed.")] = ""
