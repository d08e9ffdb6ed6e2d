"""Every command has its handler, in a file of the same name, and says so if it is not written yet."""

import random
from pathlib import Path
from typing import Any

import pytest

import commands
import workers
from commands import COMMANDS
from riptide.config import WorkersSettings
from riptide.errors import Dead
from riptide.streams.job import Buried, Job, outcome_of
from riptide.streams.later import LATER
from riptide.streams.message import Entry, Message
from workers import HANDLERS

WRITTEN = {"close_period", "invalidate", "purge_tenant", "record_usage", "reload", "warm"}


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


def test_the_table_of_what_comes_later_is_true() -> None:
    assert set(LATER) == set(HANDLERS) - WRITTEN


@pytest.mark.parametrize("kind", sorted(set(HANDLERS) - WRITTEN))
async def test_what_comes_later_is_a_dead_letter_that_says_so(kind: str) -> None:
    message = Message("id", 1, None, 0, b"{}", None, "1-0", 0)
    job = Job(Entry(kind, "10", "1-0", []), message, None)
    with pytest.raises(Dead, match=f"'{kind}' is not carried out by this release") as caught:
        await HANDLERS[kind].handle([job], None)
    outcome = outcome_of(job, caught.value, WorkersSettings(), random.Random(1))
    assert isinstance(outcome, Buried)
    assert "comes with a later one" in outcome.error
