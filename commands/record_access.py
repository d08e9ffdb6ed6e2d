"""Report which entries were read."""

from typing import Annotated, ClassVar

from pydantic import Field

from commands._base import Command
from commands._fields import MAX_ITEMS, Amount, Key, Namespace
from riptide.names import DEFAULT_NAMESPACE


class RecordAccess(Command):
    """What one process read of a namespace since its last report. Feeds popularity and statistics."""

    type: ClassVar[str] = "record_access"

    namespace: Annotated[Namespace, Field(description="Which entries were read.")] = DEFAULT_NAMESPACE
    hits: Annotated[Amount, Field(description="Reads that found an entry.")] = 0
    misses: Annotated[Amount, Field(description="Reads that found none.")] = 0
    keys: Annotated[
        dict[Key, Amount],
        Field(
            default_factory=dict,
            max_length=MAX_ITEMS,
            description="How often each of the most read keys was read.",
        ),
    ]
