"""Keys of decorated functions: one text for one way of calling."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from riptide.errors import InvalidInput
from riptide.names import MAX_KEY_BYTES

_PLAIN = (str, int, float, bool, type(None))


def key_maker(function: Callable[..., Any], key: Callable[..., str] | None) -> Callable[..., str]:
    """`key` itself; or the function's name and its arguments, the same however they were passed.

    Arguments too long for a key are replaced by their hash.
    """
    if key is not None:
        return key
    if function.__name__ == "<lambda>" or getattr(function, "__closure__", None):
        raise InvalidInput(
            f"{function.__qualname__} is a lambda or a closure: others of its name may do something else; "
            "say what its keys are: cached(key=...)"
        )
    signature = inspect.signature(function)
    name = f"{function.__module__}.{function.__qualname__}"

    def make(*args: Any, **kwargs: Any) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = (f"{argument}={_text(argument, value)}" for argument, value in bound.arguments.items())
        text = f"{name}({', '.join(arguments)})"
        encoded = text.encode()
        if len(encoded) <= MAX_KEY_BYTES:
            return text
        return f"{name}(#{hashlib.blake2b(encoded, digest_size=16).hexdigest()})"

    return make


def _text(name: str, value: Any) -> str:
    if type(value) in _PLAIN:
        return repr(value)
    if type(value) in (list, tuple):
        return f"[{', '.join(_text(name, item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(name, k)}: {_text(name, v)}' for k, v in value.items())}}}"
    kind = type(value).__name__
    raise InvalidInput(f"argument {name!r} of type {kind} cannot be part of a cache key: pass key=")
