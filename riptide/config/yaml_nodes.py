"""YAML text as nodes that know their line. Nothing is constructed, so no tag can build an object."""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError

from riptide.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + kind for kind in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")}
_NO_ALIASES = "anchors and aliases are not supported; quote a text that begins with '&' or '*'"


class _Composer(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        # Aliases could refer to themselves or grow without bound; and an unquoted password that begins
        # with '&' would be taken for an anchor and vanish.
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            raise ComposerError(None, None, _NO_ALIASES, event.start_mark)
        return super().compose_node(parent, index)


def compose(path: Path, data: bytes | None = None) -> yaml.Node | None:
    """The root node of the file, or of `data` that was read from it; None if it is empty.

    Raises ConfigError, repeating no value, if it is no YAML.
    """
    data = read_bytes(path) if data is None else data
    try:
        return _Composer(data.decode("utf-8-sig")).get_single_node()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}{_line(error)}: is not YAML: {_without_values(error.problem)}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets some escapes and version numbers fail with bare Python errors.
        raise ConfigError(f"{path}: is not YAML: a character or number is not allowed") from None


def read_bytes(path: Path) -> bytes:
    """What a file holds; raise ConfigError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def is_null(node: yaml.Node) -> bool:
    return node.tag == _TAG + "null"


def has_plain_tag(node: yaml.Node) -> bool:
    """Whether the node is what it looks like, with no `!tag` of its own."""
    return node.tag in _PLAIN_TAGS


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f":{mark.line + 1}" if mark else ""


def _without_values(problem: str | None) -> str:
    """PyYAML quotes pieces of the file, perhaps of a secret; its own tokens' names look like '<…>'."""
    if problem == _NO_ALIASES:
        return problem
    return re.sub(r"""(['"])(?!<).{2,}\1""", "a text", problem or "it cannot be understood")
