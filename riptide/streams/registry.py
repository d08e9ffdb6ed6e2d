"""Which commands exist here, and who carries them out."""

import importlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commands import COMMANDS, Command
from riptide.errors import ConfigError
from riptide.streams.job import Job

Handle = Callable[[Sequence[Job], Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """How one type is carried out.

    `handle(batch, ctx)` gets up to `batch_size` jobs in one call. `slots` gives the type executor slots of
    its own, so that it never
    waits behind others; 0 means that it shares `workers.concurrency` with them.
    """

    handle: Handle
    batch_size: int = 1
    slots: int = 0


@dataclass(frozen=True, slots=True)
class CommandType:
    name: str
    model: type[Command]
    handler: Handler


class Registry:
    """All types of this deployment: RipTide's own and those of `workers.modules`."""

    def __init__(self, models: Mapping[str, type[Command]], handlers: Mapping[str, Handler]) -> None:
        missing = sorted(set(models) ^ set(handlers))
        if missing:
            raise ConfigError(f"these types lack a command or a handler: {', '.join(missing)}")
        self.types = {name: CommandType(name, models[name], handlers[name]) for name in models}

    def pick(self, names: Iterable[str] | None) -> list[CommandType]:
        """The types called `names`, or all; raise ConfigError for an unknown one."""
        if names is None:
            return list(self.types.values())
        unknown = sorted(set(names) - set(self.types))
        if unknown:
            known = ", ".join(sorted(self.types))
            raise ConfigError(f"unknown command types: {', '.join(unknown)}; known are {known}")
        return [self.types[name] for name in dict.fromkeys(names)]


def load_models(modules: Iterable[str]) -> dict[str, type[Command]]:
    """RipTide's commands and those that `workers.modules` add as `COMMANDS`: a list of classes, or a
    mapping."""
    models = dict(COMMANDS)
    for module in modules:
        for model in _extension(module, "COMMANDS"):
            if model.type in models:
                raise ConfigError(f"workers.modules: {module} defines {model.type!r}, which exists already")
            models[model.type] = model
    return models


def load_handlers(own: Mapping[str, Handler], modules: Iterable[str]) -> dict[str, Handler]:
    """RipTide's handlers and those that `workers.modules` add as `HANDLERS`: type -> Handler."""
    handlers = dict(own)
    for module in modules:
        handlers |= dict(_extension(module, "HANDLERS").items())
    return handlers


def _extension(module: str, name: str) -> Any:
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"workers.modules: cannot import {module!r}: {error}") from error
    return getattr(loaded, name, {})
