"""What commands of the command line share: the configuration, a connection, output."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from riptide import log
from riptide.config import Loaded, Settings, load
from riptide.reads.sync_client import RipTide, connect
from riptide.store.keys import Keys
from riptide.streams.resting import who_asks
from riptide.tenants.registry.audit import LONGEST_ACTOR

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

console = Console()
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


def printable(text: str) -> str:
    """What others wrote must not steer the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def cli_actor() -> str:
    """Who acts, for the audit trail."""
    return f"cli:{who_asks()}"[:LONGEST_ACTOR]


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
