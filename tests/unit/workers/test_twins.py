"""Every command has its handler, in a file of the same name."""

from pathlib import Path
from typing import Any

import pytest

import commands
import workers
from commands import COMMANDS
from workers import HANDLERS


def names_in(package: Any) -> set[str]:
    folder = Path(package.__path__[0])
    return {file.stem for file in folder.glob("*.py")} - {"__init__", "schemas"}


def test_every_command_has_its_twin() -> None:
    files = {name for name in names_in(commands) if not name.startswith("_")}
    assert files == names_in(workers) == set(COMMANDS) == set(HANDLERS)


@pytest.mark.parametrize("kind", HANDLERS)
def test_handlers_are_their_files_own(kind: str) -> None:
    module = getattr(workers, kind)
    assert HANDLERS[kind].handle is module.handle
