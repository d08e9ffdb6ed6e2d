"""Remember that a tenant did something."""

from typing import Annotated, ClassVar, Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from commands._base import Command
from commands._fields import Amount, Moment, Name

ALIASES = {"compute_ms": "compute_time_ms", "at": "timestamp"}
_AMOUNTS = ("operation_count", "data_bytes", "compute_ms", "compute_time_ms", "storage_bytes")


def _also(field: str) -> AliasChoices:
    """The older name is accepted too; a body with both is refused."""
    return AliasChoices(field, ALIASES[field])


class RecordUsage(Command):
    """Count what a tenant used. Counted exactly once, however often the command is delivered."""

    model_config = ConfigDict(
        json_schema_extra={
            # Nothing in all of them: `operation_count` alone is not 0 by default.
            "not": {"required": ["operation_count"], "properties": {name: {"const": 0} for name in _AMOUNTS}}
        }
    )
    type: ClassVar[str] = "record_usage"

    operation: Annotated[Name, Field(description="What was done, such as `page.render`.")]
    operation_count: Annotated[Amount, Field(description="How many times.")] = 1
    data_bytes: Annotated[Amount, Field(description="Bytes moved.")] = 0
    compute_ms: Annotated[
        Amount, Field(validation_alias=_also("compute_ms"), description="Milliseconds of computing.")
    ] = 0
    storage_bytes: Annotated[
        Amount, Field(description="Bytes stored, added to the level of the accounts.")
    ] = 0
    at: Annotated[
        Moment | None,
        Field(
            validation_alias=_also("at"),
            description="When it was done; left out, when the command was issued.",
        ),
    ] = None

    @model_validator(mode="after")
    def _tells_something(self) -> Self:
        if not (self.operation_count or self.data_bytes or self.compute_ms or self.storage_bytes):
            raise ValueError("a record that counts nothing makes no sense")
        return self
