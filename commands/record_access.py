"""Report what was done with a tenant's entries."""

from typing import Annotated, ClassVar

from pydantic import Field

from commands._base import Command
from commands._fields import MAX_ITEMS, Amount, Key, Name, Namespace
from riptide.names import DEFAULT_NAMESPACE


class RecordAccess(Command):
    """What one process did with a tenant's entries since its last report. Feeds statistics and popularity."""

    type: ClassVar[str] = "record_access"

    process: Annotated[Name | None, Field(description="What tells the process from others.")] = None
    hits: Annotated[Amount, Field(description="Reads that found an entry.")] = 0
    misses: Annotated[Amount, Field(description="Reads that found none.")] = 0
    sets: Annotated[Amount, Field(description="Entries written.")] = 0
    deletes: Annotated[Amount, Field(description="Entries removed by key or tag.")] = 0
    value_bytes: Annotated[Amount, Field(description="Bytes of the values written.")] = 0
    stored_bytes: Annotated[Amount, Field(description="Bytes that these took, compressed, with headers.")] = 0
    timed: Annotated[Amount, Field(description="Reading calls whose time was taken.")] = 0
    timed_us: Annotated[Amount, Field(description="Microseconds that these took together.")] = 0
    namespace: Annotated[
        Namespace,
        Field(description="Whose entries `keys` and `load_us` are; the counts are those of all namespaces."),
    ] = DEFAULT_NAMESPACE
    keys: Annotated[
        dict[Key, Amount],
        Field(
            default_factory=dict,
            max_length=MAX_ITEMS,
            description="How often each of the most read keys was read.",
        ),
    ]
    load_us: Annotated[
        dict[Key, Amount],
        Field(
            default_factory=dict,
            max_length=MAX_ITEMS,
            description="What loading a value took, in microseconds, of keys that were loaded.",
        ),
    ]
