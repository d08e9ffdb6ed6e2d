"""Section `schedule`: what is done regularly."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    model_validator,
)

from riptide.config.values import Mapping, Optional, Section, WholeSeconds
from riptide.names import check_tenant

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"\s*([0-9]{1,10})\s*([a-z]*)\s*", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z", re.ASCII)
_CRON_FIELDS = 5
_EXAMPLE: JsonValue = {"every": "6h", "command": "warm", "tenant": "acme", "body": {"source": "list"}}


def _duration(value: Any) -> Any:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    if match[2] not in _UNITS:
        raise ValueError("unknown unit; write s, min, h or d")
    return int(match[1]) * _UNITS[match[2]]


def _cron(value: str) -> str:
    try:
        if len(value.split()) != _CRON_FIELDS:
            raise ValueError("five fields are needed: minute, hour, day of month, month, day of week")
        next(CronSim(value, datetime(2026, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise ValueError("no such day comes within 50 years") from None
    except (CronSimError, AssertionError, LookupError, TypeError) as error:
        raise ValueError(str(error).lower() or "it is no cron expression") from None
    return value


def _object(value: Any) -> Any:
    """A mapping, or a JSON object written as text."""
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON object") from None


def _check_names(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        if not _NAME.match(name):
            raise ValueError(f"{name[:80]!r} is no name: 1 to 63 of a-z, 0-9, '_', '.' and '-'")
    return value


def _schema(least: int) -> WithJsonSchema:
    pattern = r"^ *[0-9]+ *(s|m|min|h|d)? *$"
    return WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": least}, {"type": "string", "pattern": pattern}]}
    )


class ScheduleEntry(Section):
    """What is published, and when: one of `every`, `cron` and `monthly`. All times are UTC."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    every: Annotated[
        int | None,
        Optional,
        BeforeValidator(_duration),
        Field(
            ge=1, le=366 * 86400, description="Seconds, or like 5min, 6h, 1d; counted from 1970-01-01T00:00Z."
        ),
        _schema(1),
    ] = None
    cron: Annotated[
        str | None,
        Optional,
        AfterValidator(lambda value: value if value is None else _cron(value)),
        Field(description="Five fields, as in '30 3 * * MON-FRI'."),
    ] = None
    monthly: Annotated[
        int | None,
        Optional,
        BeforeValidator(_duration),
        Field(ge=0, le=27 * 86400, description="After each month's end: seconds, or like 1h."),
        _schema(0),
    ] = None
    command: Annotated[str, Field(description="Type of the command.", max_length=63)]
    tenant: Annotated[
        str | None,
        Optional,
        AfterValidator(lambda value: value if value is None else check_tenant(value)),
        Field(description="Whose command it is; left out if it is about no tenant."),
    ] = None
    body: Annotated[
        dict[str, Any],
        BeforeValidator(_object),
        Field(
            default_factory=dict,
            description="The command's body. In a text, {slot} is the time for which it is published and "
            "{month} the month before that, as in 2026-10.",
        ),
    ]

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if sum(rule is not None for rule in (self.every, self.cron, self.monthly)) != 1:
            raise ValueError("one of every, cron and monthly is needed, and not more")
        return self


class ScheduleSettings(Section):
    """What is done regularly: by the server's clock, in UTC, once however many processes run."""

    warm_every_seconds: WholeSeconds = Field(21600, description="Seconds between two warmings.")
    close_grace_seconds: WholeSeconds = Field(
        3600, description="Seconds after a month's end, in UTC, at which it is closed and billed."
    )
    entries: Annotated[dict[str, ScheduleEntry], Mapping, AfterValidator(_check_names)] = Field(
        default_factory=dict,
        description="Your own, by name, as in {nightly: {cron: '30 3 * * *', command: warm, tenant: acme, "
        "body: {source: list}}}; 'every: 6h' or 'monthly: 1h' may stand in place of cron.",
    )
