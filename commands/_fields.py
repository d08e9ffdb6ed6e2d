"""Types of fields that several commands share, with their bounds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    FailFast,
    Field,
    GetPydanticSchema,
    StringConstraints,
    WithJsonSchema,
)

from riptide.names import (
    MAX_KEY_BYTES,
    NAMESPACE_PATTERN,
    TENANT_PATTERN,
    check_key,
    check_namespace,
    check_tenant,
)

MAX_AMOUNT = 2**40
MAX_ITEMS = 10_000
#: 9999-12-31T23:59:59.999Z
MAX_MOMENT = 253_402_300_799_999


def _moment(value: Any) -> Any:
    """Unix milliseconds of an ISO 8601 string or a datetime; anything else is left to the next check."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("Unix milliseconds or an ISO 8601 time is needed") from None
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("a time needs its offset from UTC, such as a final Z")
    # Rounded, because the float may lie just below its millisecond.
    return round(value.timestamp() * 1000)


def _ecma(pattern: str) -> str:
    """JSON Schema knows `$` as the end, and no `\\Z`."""
    return pattern.replace(r"\Z", "$")


#: A count of operations, bytes or milliseconds, bounded so that no sum of them overflows.
Amount = Annotated[int, Field(ge=0, le=MAX_AMOUNT)]

Namespace = Annotated[
    str,
    AfterValidator(check_namespace),
    WithJsonSchema({"type": "string", "pattern": _ecma(NAMESPACE_PATTERN)}),
]
Tenant = Annotated[
    str, AfterValidator(check_tenant), WithJsonSchema({"type": "string", "pattern": _ecma(TENANT_PATTERN)})
]

#: The key of an entry or a tag, as the service names it: what the cache takes. The lengths go to the schema.
Key = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY_BYTES), AfterValidator(check_key)]


def _as_tuple(item: Any) -> GetPydanticSchema:
    """Given as any sequence but a string, kept as a tuple.

    FailFast, because half a million wrong items would otherwise be half a million errors.
    """
    kept = Annotated[tuple[item, ...], Field(strict=False, min_length=1, max_length=MAX_ITEMS), FailFast()]
    return GetPydanticSchema(lambda _, handler: handler.generate_schema(kept))


Keys = Annotated[Sequence[str], _as_tuple(Key)]
Tenants = Annotated[Sequence[str], _as_tuple(Tenant)]

#: What a producer or an operator calls something: a loader, an operation, a checkpoint.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$")]

#: Unix milliseconds.
Moment = Annotated[
    int,
    BeforeValidator(_moment),
    Field(ge=0, le=MAX_MOMENT),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_MOMENT, "description": "Unix milliseconds"},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
