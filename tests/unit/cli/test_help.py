"""`--help` of all commands is shown as it was written: nothing in it is markup, paragraphs are whole."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.text import Text
from typer.main import get_command

from riptide.cli.main import app


def commands(of: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, of
    for below, command in getattr(of, "commands", {}).items():
        yield from commands(command, f"{name} {below}")


ALL = dict(commands(get_command(app), "riptide"))


@pytest.mark.parametrize("name", ALL)
def test_a_help_text_is_shown_as_it_was_written(name: str) -> None:
    command = ALL[name]
    texts = [command.help, *(one.help for one in command.params if getattr(one, "help", None))]
    for text in texts:
        assert Text.from_markup(text).plain == text
    assert not re.search(r"[^\n]\n[^\n]", command.help), "a line break within a paragraph"
