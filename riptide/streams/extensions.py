"""What the modules of `workers.modules` bring: `COMMANDS`, `HANDLERS` and `LOADERS`, looked at before use."""

import importlib
import inspect
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from commands import Command
from riptide.errors import ConfigError


def listed(module: str, name: str) -> Iterator[tuple[str, Any]]:
    """What `module` lists under `name`, as key -> value; nothing if it has no list. Raises ConfigError."""
    found = getattr(_imported(module), name, {})
    if name == "COMMANDS" and isinstance(found, list | tuple):
        yield from ((_type_of(module, model), model) for model in found)
        return
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"workers.modules: {module}.{name} is of type {_kind(found)}; write {_WANTED[name]}"
        )
    for key, value in found.items():
        if name == "COMMANDS" and _type_of(module, value) != key:
            raise ConfigError(f"workers.modules: {module}.COMMANDS has {value.type!r} under the name {key!r}")
        yield key, value


_WANTED = {
    "COMMANDS": "a list of classes, as in COMMANDS = [Greet]",
    "HANDLERS": "a mapping, as in HANDLERS = {'greet': Handler(greet)}",
    "LOADERS": "a mapping, as in LOADERS = {'rows': load_rows}",
}


def check_handle(where: str, handle: Any) -> None:
    """Refuse, with ConfigError, what cannot be called as `await handle(batch, ctx)`."""
    wanted = "it must be `async def handle(batch, ctx)`"
    _check_callable(where, handle, ("batch", "ctx"), wanted)
    if not (inspect.iscoroutinefunction(handle) or inspect.iscoroutinefunction(type(handle).__call__)):
        raise ConfigError(f"{where}: {_name(handle)} is not asynchronous; {wanted}")


def check_loader(where: str, function: Any) -> None:
    """Refuse, with ConfigError, what cannot be called as `function(request)`."""
    _check_callable(where, function, ("request",), "it must be `def load(request)`, or async")


def _check_callable(where: str, function: Any, arguments: tuple[str, ...], wanted: str) -> None:
    if not callable(function):
        raise ConfigError(f"{where}: what is of type {_kind(function)} cannot be called; {wanted}")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        told = " and ".join(arguments)
        raise ConfigError(
            f"{where}: {_name(function)} cannot be called with {told} ({error}); {wanted}"
        ) from None
    except ValueError:
        return  # written in C: what it takes cannot be told


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"workers.modules: there is no module {module!r}: install it, or set PYTHONPATH to its place"
            ) from error
        raise _failed(module, error) from error
    except Exception as error:
        raise _failed(module, error) from error


def _failed(module: str, error: Exception) -> ConfigError:
    at = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{at.filename}:{at.lineno}"
    return ConfigError(
        f"workers.modules: importing {module!r} failed: {type(error).__name__}: {error} ({where})"
    )


def _type_of(module: str, model: Any) -> str:
    if isinstance(model, type) and issubclass(model, Command) and model.type:
        return model.type
    raise ConfigError(
        f"workers.modules: {module}.COMMANDS has {model!r}, which is no subclass of riptide.Command"
    )


def _kind(value: Any) -> str:
    return type(value).__name__


def _name(handle: Any) -> str:
    return getattr(handle, "__qualname__", None) or repr(handle)
