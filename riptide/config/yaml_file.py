"""A configuration file, read into single values that know their names and lines."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from riptide.config.catalog import sections
from riptide.config.given import Given, Location, Place, Problem
from riptide.config.interpolate import expand
from riptide.config.names import LEGACY, NO_MEANING
from riptide.config.yaml_nodes import compose, has_plain_tag, is_null

TOP = "persistence"
Pair = tuple[str, yaml.Node, yaml.Node]  # a name, where it stands, and what it names


class YamlFile:
    """Reads one file, or `data` that was read from it; what is wrong in it is collected in `problems`.

    Without an environment its values stay as they are written, with `${VAR}` in them.
    """

    def __init__(self, path: Path, environ: Mapping[str, str] | None, data: bytes | None = None) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._environ = environ
        self._data = data

    def read(self) -> list[Given]:
        """All values of the file in its order; raise ConfigError if it cannot be read at all."""
        root = compose(self.path, self._data)
        pairs = [] if root is None or is_null(root) else list(self._pairs(root, "the file"))
        for key, _, value in pairs:
            if key == TOP:
                pairs = self._inside(value, pairs)
        return [given for pair in pairs for given in self._below(*pair)]

    def _inside(self, top: yaml.Node, outside: list[Pair]) -> list[Pair]:
        for key, node, _ in outside:
            if key != TOP:
                self._problem(node, f"{key!r} is outside of '{TOP}:'; indent it below, or remove '{TOP}:'")
        return [] if is_null(top) else list(self._pairs(top, TOP))

    def _below(self, key: str, key_node: yaml.Node, value: yaml.Node) -> Iterator[Given]:
        if key not in _sections():
            yield from self._given(key, key_node, value)
        elif not is_null(value):
            for name, name_node, inner in self._pairs(value, key):
                yield from self._given(f"{key}.{name}", name_node, inner)

    def _given(self, name: str, key: yaml.Node, value: yaml.Node) -> Iterator[Given]:
        """The value, or nothing where it could not be read: that is in `problems` then."""
        already = len(self.problems)
        inner: dict[Location, Place] = {}
        plain = self._plain(name, value, (), inner)
        if len(self.problems) == already:
            yield Given(name, plain, self._place(key, value), inner)

    def _plain(self, name: str, node: yaml.Node, at: Location, inner: dict[Location, Place]) -> Any:
        """Every scalar stays a text, so that a value means the same in the file as in a variable."""
        inner[at] = self._place(node, node)
        if not has_plain_tag(node):
            self._problem(node, f"{name}: tags (!name) are not supported; quote a text that begins with '!'")
        elif isinstance(node, yaml.MappingNode):
            pairs = self._pairs(node, name)
            return {key: self._plain(f"{name}.{key}", value, (*at, key), inner) for key, _, value in pairs}
        elif isinstance(node, yaml.SequenceNode):
            return [self._plain(name, item, (*at, index), inner) for index, item in enumerate(node.value)]
        elif not is_null(node):
            return self._expanded(name, node)
        return None

    def _expanded(self, name: str, node: yaml.Node) -> str | None:
        if self._environ is None:
            text: str = node.value
            return text
        try:
            return expand(node.value, self._environ)
        except ValueError as error:
            self._problem(node, f"{name}: {error}")
            return None

    def _pairs(self, node: yaml.Node, name: str) -> Iterator[Pair]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, f"{name} must be a mapping of names to values")
            return
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, f"a name in {name} must be a plain text")
            elif key.value in lines:
                self._problem(key, f"{key.value!r} appears twice in {name}, first in line {lines[key.value]}")
            else:
                lines[key.value] = _line(key)
                yield key.value, key, value

    def _problem(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(self._source(node), text))

    def _place(self, at: yaml.Node, value: yaml.Node) -> Place:
        return Place(self._source(at), value.value if isinstance(value, yaml.ScalarNode) else None)

    def _source(self, node: yaml.Node) -> str:
        return f"{self.path}:{_line(node)}"


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _sections() -> set[str]:
    """All sections, and `pool`, in which no setting is left."""
    return {*sections(), *(name.partition(".")[0] for name in (*NO_MEANING, *LEGACY) if "." in name)}
