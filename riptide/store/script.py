"""Lua scripts: package resources, named by content, so that workers of two versions can run side by side."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

from riptide.store.operation import Arg, Operation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua file. `source` begins with a shebang, then KEYS, ARGV and what it returns."""

    name: str
    source: str
    sha: str

    @classmethod
    def load(cls, package: str, name: str) -> "Script":
        """Read `lua/<name>` of `package`, for example `Script.load("riptide.streams", "publish.lua")`."""
        source = resources.files(package).joinpath("lua", name).read_text("utf-8")
        return cls(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    def call(self, keys: Sequence[str], args: Sequence[Arg], parse: Callable[[Any], T]) -> Operation[T]:
        return Operation(("EVALSHA", self.sha, len(keys), *keys, *args), parse, self)

    def full(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """The same call with the whole source, which a server that does not know the script learns from
        it."""
        return ("EVAL", self.source, *args[2:])
