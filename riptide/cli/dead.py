"""`riptide dead`: list, show, retry and drop dead letters."""

import os
import time
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from riptide.cli import common
from riptide.errors import InvalidInput, RiptideError
from riptide.reads.sync_client import RipTide
from riptide.store.keys import Keys
from riptide.streams import dead
from riptide.streams.dead import DeadLetter
from riptide.streams.message import Ref
from riptide.streams.registry import load_models

_SHOWN_ERROR = 240

app = typer.Typer(
    help="Dead letters: commands that could not be carried out, each with its cause and all its fields.\n\n"
    "They stay until they are retried or dropped.",
    no_args_is_help=True,
)

Refs = Annotated[
    list[str] | None, typer.Argument(metavar="[REF]...", help="Dead letters, as 'dead list' names them.")
]
Kind = Annotated[
    str | None,
    typer.Option("--type", help="Only commands of this type.", autocompletion=common.complete_type),
]
Cause = Annotated[
    str | None, typer.Option("--error", metavar="TEXT", help="Only those whose reason or error contains it.")
]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


@app.command("list")
def list_command(
    kind: Kind = None,
    error: Cause = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest.")] = 50,
    as_json: common.Json = False,
) -> None:
    """List dead letters, oldest first.

    Example: riptide dead list --type warm --error timeout
    """
    with common.client() as (rt, keys):
        found = _select(rt, keys, kind, error)
        shown = found[-limit:]
        if as_json:
            common.print_json([_facts(letter) for letter in shown])
            return
        if not found:
            typer.echo("no dead letters")
            return
        _print_list(shown)
        if len(shown) < len(found):
            typer.echo(f"the newest {len(shown)} of {len(found)}; --limit shows more")


@app.command("show")
def show_command(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Dead letter, as 'dead list' names it.")],
    as_json: common.Json = False,
) -> None:
    """Show one dead letter: cause, traceback and all fields as they were sent."""
    with common.client() as (rt, keys):
        letter = _get(rt, keys, ref)
        facts = _facts(letter) | {
            "traceback": letter.traceback,
            "fields": [[_text(name), _text(value)] for name, value in letter.fields()],
        }
        if as_json:
            common.print_json(facts)
            return
        for name, value in facts.items():
            if name == "fields":
                for field, content in value:
                    typer.echo(f"field {field}: {content}")
            else:
                typer.echo(f"{name:10} {value}")


@app.command("retry")
def retry_command(
    refs: Refs = None,
    kind: Kind = None,
    error: Cause = None,
    everything: All = False,
    as_json: common.Json = False,
) -> None:
    """Put dead letters back into their streams, to be tried from the start.

    Name them, or choose by --type and --error, or take --all.

    Examples: 'riptide dead retry warm.10.1763730000000-0'; 'riptide dead retry --type warm --error
    timeout'; 'riptide dead retry --all'.
    """
    with common.client() as (rt, keys):
        chosen = _choose(rt, keys, refs, kind, error, everything)
        letters = common.tracked(chosen, "Retrying", quiet=as_json)
        done = sum(rt.store.run(dead.revive(keys, letter)) for letter in letters)
        gone = len(chosen) - done
        text = f"{done} put back, {gone} were gone already"
        common.print_json({"put_back": done, "gone": gone}) if as_json else typer.echo(text)


@app.command("drop")
def drop_command(
    refs: Refs = None,
    kind: Kind = None,
    error: Cause = None,
    everything: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: common.Json = False,
) -> None:
    """Remove dead letters for good.

    Name them, or choose by --type and --error, or take --all.
    """
    with common.client() as (rt, keys):
        chosen = _choose(rt, keys, refs, kind, error, everything)
        if chosen and not yes:
            typer.confirm(f"Remove {len(chosen)} dead letters for good?", abort=True, err=as_json)
        letters = common.tracked(chosen, "Dropping", quiet=as_json)
        done = sum(rt.store.run(dead.drop(keys, letter.ref)) for letter in letters)
        gone = len(chosen) - done
        text = f"{done} dropped, {gone} were gone already"
        common.print_json({"dropped": done, "gone": gone}) if as_json else typer.echo(text)


def _choose(
    rt: RipTide, keys: Keys, refs: list[str] | None, kind: str | None, error: str | None, everything: bool
) -> list[DeadLetter]:
    if refs:
        return [_get(rt, keys, ref) for ref in refs]
    if not (everything or kind or error):
        raise InvalidInput("say which: references, --type, --error, or --all")
    return _select(rt, keys, kind, error)


def _select(rt: RipTide, keys: Keys, kind: str | None, error: str | None) -> list[DeadLetter]:
    models = load_models(rt.settings.workers.modules)
    if kind is not None and kind not in models:
        raise InvalidInput(f"no command is of type {kind!r}; known are {', '.join(sorted(models))}")
    return rt.store.drive(dead.letters(keys, [kind] if kind else sorted(models), error))


def _get(rt: RipTide, keys: Keys, ref: str) -> DeadLetter:
    letter = rt.store.drive(dead.letter(keys, Ref.parse(ref)))
    if letter is None:
        raise RiptideError(f"there is no dead letter {ref}; 'riptide dead list' shows those that are")
    return letter


def _facts(letter: DeadLetter) -> dict[str, Any]:
    return {
        "ref": str(letter.ref),
        "died": common.moment(letter.died_ms),
        "tenant": letter.tenant,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "worker": letter.worker,
        "id": letter.id,
        "source": str(letter.source),
        "issued": common.moment(letter.at_ms),
    }


def _print_list(letters: list[DeadLetter]) -> None:
    """Two lines each: what it is, and why it died. So it can be read in 80 columns."""
    now = time.time()
    rows = [("ref", "died", "reason", "starts", "tenant")]
    for letter in letters:
        ago = f"{common.duration(max(0.0, now - letter.died_ms / 1000))} ago"
        rows.append((str(letter.ref), ago, letter.reason, str(letter.attempts), letter.tenant or "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    _print_line(lines[0], "dim")
    for line, letter in zip(lines[1:], letters, strict=True):
        _print_line(line, "bold")
        error = " ".join(letter.error.split())
        cut = error if len(error) <= _SHOWN_ERROR else error[:_SHOWN_ERROR] + "…"
        common.console.print(Padding(Text(common.printable(cut)), (0, 0, 0, 4)))


def _print_line(line: str, style: str) -> None:
    # Whole in a pipe: nothing there is so many columns wide.
    cut = common.console.is_terminal or "COLUMNS" in os.environ
    text = Text(common.printable(line), style)
    common.console.print(text, no_wrap=True, overflow="ellipsis", crop=False, soft_wrap=not cut)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
