"""Lua scripts: package resources, named by content, so that workers of two versions can run side by side."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

from riptide.store.operation import Arg, Operation

T = TypeVar("T")
_INCLUDE = re.compile(r"^ *-- include: (?:([\w.]+) )?(\w+\.lua)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua file. `source` begins with a shebang, then KEYS, ARGV and what it returns."""

    name: str
    source: str
    sha: str

    @classmethod
    def load(cls, package: str, name: str) -> "Script":
        """Read `lua/<name>` of `package`, for example `Script.load("riptide.streams", "publish.lua")`.

        A line `-- include: ids.lua` becomes the text of that snippet in riptide/store/lua, and
        `-- include: riptide.tenants.registry audit.lua` that of one in lua/parts of another package. Snippets
        may include others; each stands there once, in the block that names it first. Raise FileNotFoundError
        if there is no such file.
        """
        source = _included(_text(package, name), set())
        return cls(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    def call(self, keys: Sequence[str], args: Sequence[Arg], parse: Callable[[Any], T]) -> Operation[T]:
        return Operation(("EVALSHA", self.sha, len(keys), *keys, *args), parse, self)

    def full(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """The same call with the whole source, which a server that does not know the script learns from
        it."""
        return ("EVAL", self.source, *args[2:])


def _text(package: str, *path: str) -> str:
    return resources.files(package).joinpath("lua", *path).read_text("utf-8")


def _included(source: str, there: set[str]) -> str:
    """`source` with its snippets, but for those that are `there`, which gains them."""

    def snippet(line: re.Match[str]) -> str:
        package, name = line.groups()
        if name in there:
            return ""
        there.add(name)
        return _included(_text(package, "parts", name) if package else _text("riptide.store", name), there)

    return _INCLUDE.sub(snippet, source)
