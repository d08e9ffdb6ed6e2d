"""Types whose handler is not written yet: their commands are kept as dead letters that say so."""

from collections.abc import Sequence
from typing import Any

from riptide.errors import Dead
from riptide.streams.job import Job
from riptide.streams.registry import Handle


def arrives_later(kind: str, what: str) -> Handle:
    """A handler that buries every command of type `kind`, because `what` is not part of this release."""

    async def handle(batch: Sequence[Job], ctx: Any) -> None:  # noqa: ARG001 - every handler's form
        raise Dead(
            f"{kind!r} is not carried out by this release: {what} comes with a later one. "
            f"Then it can be run by `riptide dead retry`."
        )

    return handle
