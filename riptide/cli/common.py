"""What commands of the command line share: the configuration, a connection, output."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from commands import COMMANDS, Command, MalformedBody
from riptide import log
from riptide.config import Loaded, Settings, load
from riptide.config.values import Bytes
from riptide.errors import InvalidInput, RiptideError
from riptide.reads.sync_client import RipTide, connect
from riptide.store.keys import Keys
from riptide.streams.registry import load_models
from riptide.streams.resting import who_asks
from riptide.tenants.registry.audit import LONGEST_ACTOR

T = TypeVar("T")
C = TypeVar("C", bound=Command)
#: In UTC; None: the present one.
Month = Annotated[
    str | None, typer.Option(metavar="YYYY-MM", help="A month in UTC.", show_default="this one")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_LEAST_TEXT, _WIDE = 20, 10_000

#: What stands in brackets or between colons is text: others wrote much of what is shown.
console = Console(markup=False, emoji=False)
#: For what people look at while it goes on; standard output is for results.
progress = Console(stderr=True)


def loaded() -> Loaded:
    """The configuration; logging is set up by it, and what has no effect is named."""
    found = load()
    log.configure(found.settings.log)
    log.notices(found.notices)
    return found


def settings() -> Settings:
    """What the configuration says now; `loaded` tells too where it comes from, so that it can be followed."""
    return loaded().settings


@contextmanager
def client() -> Iterator[tuple[RipTide, Keys]]:
    chosen = settings()
    with connect(config=chosen) as rt:
        yield rt, Keys(chosen.cache.key_prefix)


def tracked(items: Sequence[T], what: str, *, quiet: bool = False) -> Iterable[T]:
    """The items, with a bar on a terminal while they are used up."""
    return track(items, what, transient=True, console=progress, disable=quiet or not progress.is_terminal)


def bar() -> Progress:
    """A bar for what nobody knows the length of; on a terminal only."""
    return Progress(console=progress, transient=True, disable=not progress.is_terminal)


def show(table: Table) -> None:
    """Print a table. Only columns that fold become narrower than what stands in them: ids and numbers stay
    whole, and lines become longer than the window where they must."""
    wide = console.options.update(width=_WIDE)
    for column in table.columns:
        cells = (column.header, column.footer, *column.cells)
        longest = max(console.measure(cell, options=wide).maximum for cell in cells)
        folds = column.overflow == "fold"
        column.no_wrap = not folds
        column.min_width = min(longest, _LEAST_TEXT) if folds else longest
        column.max_width = column.min_width
    least = console.measure(table, options=wide).minimum
    for column in table.columns:
        column.max_width = None
    if least > console.width:
        table.width = least
    notes = (cell_len(str(note)) for note in (table.title, table.caption) if note)
    table.min_width = min(max(notes, default=0), console.width)
    console.print(table, crop=False)


def number(text: str, wrong: str) -> int:
    """A whole number, or one with a unit, like 200MiB; InvalidInput says what is `wrong`."""
    try:
        found: int = TypeAdapter(Bytes).validate_python(text)
    except ValidationError:
        raise InvalidInput(wrong) from None
    return found


def made(kind: type[C], body: dict[str, Any]) -> C:
    """A command of what was given; InvalidInput says what is wrong with it."""
    try:
        return kind.parse(kind.version, to_json(body))
    except PydanticSerializationError:
        raise InvalidInput("what is given is no text in UTF-8") from None
    except MalformedBody as error:
        raise InvalidInput(str(error)) from None


def printable(text: str) -> str:
    """What others wrote must not steer the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def cli_actor() -> str:
    """Who acts, for the audit trail."""
    return f"cli:{who_asks()}"[:LONGEST_ACTOR]


def complete_type(incomplete: str) -> list[str]:
    """Types of command that begin so, for shells that complete."""
    return [kind for kind in _types() if kind.startswith(incomplete)]


def complete_types(incomplete: str) -> list[str]:
    """The same for the last of several with commas between."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + kind for kind in complete_type(last)]


def _types() -> list[str]:
    try:
        return sorted(load_models(load().settings.workers.modules))
    except RiptideError:  # nobody wants to read of it at this place
        return sorted(COMMANDS)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str))


def moment(milliseconds: int) -> str:
    """A time as people read it: UTC, to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """A number of seconds as people read it."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
