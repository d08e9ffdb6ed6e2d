"""Lua scripts: package resources, named by content, so that workers of two versions can run side by side."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

from riptide.store.operation import Arg, Operation

T = TypeVar("T")
_INCLUDE = re.compile(r"^ *-- include (?:([\w.]+) )?(\w+\.lua)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua file. `source` begins with a shebang, then KEYS, ARGV and what it returns."""

    name: str
    source: str
    sha: str

    @classmethod
    def load(cls, package: str, name: str) -> "Script":
        """Read `lua/<name>` of `package`, for example `Script.load("riptide.streams", "publish.lua")`.

        Its line `-- include part.lua` stands for what `lua/parts/part.lua` of the package holds, and
        `-- include other.package part.lua` for that of another.
        """
        source = _expanded(package, name)
        return cls(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    def call(self, keys: Sequence[str], args: Sequence[Arg], parse: Callable[[Any], T]) -> Operation[T]:
        return Operation(("EVALSHA", self.sha, len(keys), *keys, *args), parse, self)

    def full(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """The same call with the whole source, which a server that does not know the script learns from
        it."""
        return ("EVAL", self.source, *args[2:])


def _expanded(package: str, *path: str) -> str:
    def part(line: re.Match[str]) -> str:
        return _expanded(line[1] or package, "parts", line[2]).rstrip()

    return _INCLUDE.sub(part, resources.files(package).joinpath("lua", *path).read_text("utf-8"))
