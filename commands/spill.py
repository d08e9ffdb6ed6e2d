"""Move to the blob store what memory has no room for."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from commands._base import Command


class Spill(Command):
    """Move the least recently used sessions or entries out, of the entry's tenant or, without one, of all."""

    type: ClassVar[str] = "spill"
    administrative: ClassVar[bool] = True
    tenant_required: ClassVar[bool] = False

    what: Annotated[Literal["sessions", "entries"], Field(description="What to move.")] = "sessions"
    keep_bytes: Annotated[
        int | None,
        Field(ge=0, le=2**50, description="Stop when at most so many remain; left out, the configured cap."),
    ] = None
