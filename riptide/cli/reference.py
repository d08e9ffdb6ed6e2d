"""docs/cli.md, made from the command line itself: `python -m riptide.cli.reference > docs/cli.md`."""

import sys
from collections.abc import Iterator
from typing import Any, get_args

from typer.main import get_command

from riptide.cli.main import app

_HEAD = """# Command line

Made from the help texts: `.venv/bin/python -m riptide.cli.reference > docs/cli.md`.

Tables are for people, `--json` is for programs. Results go to standard output; progress, questions and
errors to standard error. Colours and bars appear on a terminal only, colours not with `NO_COLOR`.
`riptide --install-completion` completes commands, options and types of command in bash, zsh, fish and
PowerShell.
"""
_KINDS = {int: "NUMBER", float: "NUMBER", str: "TEXT"}


def reference() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_pages(get_command(app), "riptide")]).rstrip() + "\n"


def _pages(command: Any, name: str) -> Iterator[str]:
    """A heading for each command, each group before what it has."""
    if command.hidden:
        return
    yield f"{'##' if name.count(' ') < 2 else '###'} {name}"
    yield ""
    yield _escaped(command.help or "")
    yield ""
    below = getattr(command, "commands", {})
    for part, one in below.items():
        yield from _pages(one, f"{name} {part}")
    if not below:
        arguments = [one.metavar for one in command.params if one.param_type_name == "argument"]
        yield f"    {' '.join([name, '[OPTIONS]', *arguments])}"
        yield ""
        yield from _parameters(command)


def _parameters(command: Any) -> Iterator[str]:
    yield "| parameter | meaning |"
    yield "|---|---|"
    for one in command.params:
        if not getattr(one, "hidden", False):
            yield f"| `{_named(one)}` | {_escaped(getattr(one, 'help', None) or '')} |".replace("||", "| |")
    yield ""


def _named(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {parameter.metavar or _value(parameter)}"


def _value(parameter: Any) -> str:
    """What kind of value it takes."""
    kind = parameter.type_descriptor.annotation
    if choices := get_args(kind) or tuple(getattr(kind, "__members__", ())):
        return " or ".join(map(str, choices))
    return _KINDS.get(kind, "VALUE")


def _escaped(text: str) -> str:
    """As text, not as markup."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
