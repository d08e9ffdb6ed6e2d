"""Which commands exist here, and who carries them out."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commands import COMMANDS, Command
from riptide.errors import ConfigError
from riptide.streams.extensions import check_handle, listed
from riptide.streams.job import Job

Handle = Callable[[Sequence[Job], Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """How one type is carried out.

    `handle(batch, ctx)` gets up to `batch_size` jobs in one call. `slots` gives the type executor slots of
    its own, so that it never waits behind others; 0 means that it shares `workers.concurrency` with them.
    Without `fair` a flooding tenant's commands are not moved out of the others' way: for those that take next
    to no time.
    """

    handle: Handle
    batch_size: int = 1
    slots: int = 0
    fair: bool = True


@dataclass(frozen=True, slots=True)
class CommandType:
    name: str
    model: type[Command]
    handler: Handler


class Registry:
    """All types of this deployment: RipTide's own and those of `workers.modules`."""

    def __init__(self, models: Mapping[str, type[Command]], handlers: Mapping[str, Handler]) -> None:
        if idle := sorted(set(models) - set(handlers)):
            raise ConfigError(f"workers.modules: HANDLERS lacks a handler for {', '.join(idle)}")
        if nameless := sorted(set(handlers) - set(models)):
            raise ConfigError(
                f"workers.modules: COMMANDS lacks a command for {', '.join(nameless)}, which have handlers"
            )
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
    mapping. Raises ConfigError."""
    models, origins = dict(COMMANDS), dict.fromkeys(COMMANDS, "RipTide")
    for module in modules:
        for name, model in listed(module, "COMMANDS"):
            if models.setdefault(name, model) is not model:
                raise ConfigError(
                    f"workers.modules: {module} defines {name!r}, and {origins[name]} does too; "
                    "take another type"
                )
            origins.setdefault(name, module)
    return models


def load_handlers(own: Mapping[str, Handler], modules: Iterable[str]) -> dict[str, Handler]:
    """RipTide's handlers and those that `workers.modules` add as `HANDLERS`: type -> Handler. Raises
    ConfigError."""
    handlers = dict(own)
    for module in modules:
        for name, handler in listed(module, "HANDLERS"):
            where = f"workers.modules: {module}.HANDLERS[{name!r}]"
            if not isinstance(handler, Handler):
                raise ConfigError(f"{where} is no Handler; write Handler(function)")
            if handlers.setdefault(name, handler) is not handler:
                raise ConfigError(f"{where}: this type has a handler already")
            check_handle(where, handler.handle)
            if handler.batch_size < 1 or handler.slots < 0:
                raise ConfigError(f"{where}: batch_size must be at least 1, and slots at least 0")
    return handlers
