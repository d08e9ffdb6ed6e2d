"""What is published by the clock: RipTide's own entries, and those of the configuration."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from commands import Command
from riptide.config import Settings
from riptide.errors import ConfigError, InvalidInput
from riptide.names import DEFAULT_TENANT
from riptide.streams.publishing import Outgoing
from riptide.streams.schedule.timing import Every, Monthly, Timing, month_before, slot_text, timing_of

_SHOWN_ERRORS = 3


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One entry. `off` says why it is not published, where it is not.

    A slot that came before the entry was first seen is not made up for, unless it is to run `at_start`.
    """

    name: str
    timing: Timing
    model: type[Command]
    tenant: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    off: str | None = None
    at_start: bool = False
    built_in: bool = True

    def outgoing(self, slot_ms: int) -> Outgoing:
        """What is published for a slot. Raises InvalidInput if it cannot be."""
        filled = _fill(self.body, {"{slot}": slot_text(slot_ms), "{month}": month_before(slot_ms)})
        # A file's values are texts: a number is taken where the body wants one.
        try:
            return Outgoing(self.model.model_validate(filled, strict=False), self.tenant)
        except ValidationError as error:
            raise InvalidInput(_describe(error)) from None


def entries(settings: Settings, models: Mapping[str, type[Command]]) -> list[Scheduled]:
    """All entries, those that are off included. Raises ConfigError for one that could never be published."""
    built_in = list(_built_in(settings, models))
    names = {entry.name for entry in built_in}
    own = []
    for name, given in settings.schedule.entries.items():
        where = f"schedule.entries.{name}"
        if name in names:
            raise ConfigError(f"{where}: there is a schedule of that name already; take another")
        if given.command not in models:
            known = ", ".join(sorted(models))
            raise ConfigError(f"{where}.command: no command is of type {given.command!r}; known are {known}")
        model = models[given.command]
        if model.tenant_required and given.tenant is None and settings.tenant.enabled:
            raise ConfigError(f"{where}.tenant is missing: {given.command} is about one tenant")
        entry = Scheduled(name, timing_of(given), model, given.tenant, given.body, built_in=False)
        try:
            entry.outgoing(0)
        except InvalidInput as error:
            raise ConfigError(f"{where}.body: {error}") from None
        own.append(entry)
    return built_in + own


def _built_in(settings: Settings, models: Mapping[str, type[Command]]) -> Iterator[Scheduled]:
    schedule, several = settings.schedule, settings.tenant.enabled
    yield Scheduled(
        "warm",
        Every(schedule.warm_every_seconds),
        models["warm"],
        DEFAULT_TENANT if several else None,
        body={"source": "all"} | ({"every_tenant": True} if several else {}),
        off=None if settings.cache.enable_warming else "cache.enable_warming is off",
        at_start=True,
    )
    yield Scheduled(
        "checkpoint",
        Every(settings.state.checkpoint_interval_seconds),
        models["checkpoint"],
        body={"kind": "scheduled"},
    )
    yield Scheduled(
        "close_period",
        Monthly(schedule.close_grace_seconds),
        models["close_period"],
        body={"period": "{month}"},
        off=None if settings.tenant.enable_billing else "tenant.enable_billing is off",
    )


def _fill(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for place, text in places.items():
            value = value.replace(place, text)
        return value
    if isinstance(value, Mapping):
        return {name: _fill(item, places) for name, item in value.items()}
    return [_fill(item, places) for item in value] if isinstance(value, list | tuple) else value


def _describe(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'body'}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in details[:_SHOWN_ERRORS]
    )
