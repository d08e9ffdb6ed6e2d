"""Types whose handler is not written yet: their commands are kept as dead letters that say so."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from riptide.errors import Dead
from riptide.streams.job import Job
from riptide.streams.registry import Handle

#: Type -> what comes with a later release. A row goes when its handler is written.
LATER: Mapping[str, str] = MappingProxyType(
    {
        "checkpoint": "writing checkpoints",
        "record_access": "popularity",
        "restore": "restoring checkpoints",
        "spill": "spilling",
    }
)


def arrives_later(kind: str) -> Handle:
    """A handler that buries every command of type `kind`, because LATER says that it cannot be done yet."""
    what = LATER[kind]

    async def handle(batch: Sequence[Job], ctx: Any) -> None:  # noqa: ARG001 - every handler's form
        raise Dead(
            f"{kind!r} is not carried out by this release: {what} comes with a later one. "
            f"Then it can be run by `riptide dead retry`."
        )

    return handle
