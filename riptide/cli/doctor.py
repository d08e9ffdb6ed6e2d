"""`riptide doctor`: looks at everything, and says what to do."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from riptide.cli import common
from riptide.config import Loaded
from riptide.doctor.examining import CHECKS, Result, examine
from riptide.doctor.finding import Check, Finding, Level
from riptide.errors import ConfigError, InvalidInput

_FAILED = 1
_SYMBOLS = {
    Level.ok: ("✓", "green"),
    Level.skipped: ("-", "dim"),
    Level.warn: ("!", "yellow"),
    Level.fail: ("✗", "bold red"),
}
_PLAIN = {"✓": "+", "✗": "x"}
_WIDEST = max(len(check.name) for check in CHECKS)


def _complete(incomplete: str) -> list[str]:
    return [check.name for check in CHECKS if check.name.startswith(incomplete)]


def doctor_command(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Only this check, or those that begin so, as in 'server'; may be given several times.",
            autocompletion=_complete,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings too.")] = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="How long it may take in all.")
    ] = 60,
    as_json: common.Json = False,
) -> None:
    """Look at the server, the streams, the workers, what is written down and the configuration, and say of
    each whether it is as it should be; where it is not, what that means and what to do.

    It changes nothing, and also tells what it can while the server is away. docs/doctor.md explains every
    check.

    Exit code 0: nothing fails; 1: something does. With --strict warnings count as failures.

    Examples: 'riptide doctor'; 'riptide doctor --only server --only work.dead'; in a script: 'riptide doctor
    --strict --json'.
    """
    checks = _chosen(only)
    try:
        loaded = common.loaded()
    except ConfigError as error:
        results = [_unreadable(error)]
    else:
        results = _examined(loaded, checks, timeout)
    _print(results, as_json=as_json)
    worst = max(result.level.gravity for result in results)
    if worst >= (Level.warn if strict else Level.fail).gravity:
        raise typer.Exit(_FAILED)


def _chosen(only: Sequence[str] | None) -> list[Check]:
    for name in only or ():
        if not _complete(name):
            raise InvalidInput(f"there is no check {name[:80]!r}; there are {', '.join(_complete(''))}")
    return [check for check in CHECKS if only is None or any(check.name.startswith(name) for name in only)]


def _unreadable(error: ConfigError) -> Result:
    check = next(check for check in CHECKS if check.name == "config.file")
    finding = Finding(Level.fail, str(error), "mend it, and try with 'riptide config check'; then come again")
    return Result(check, [finding])


def _examined(loaded: Loaded, checks: list[Check], timeout: float) -> list[Result]:
    results = []
    with common.bar() as bar:
        task = bar.add_task("Looking", total=len(checks))
        for result in examine(loaded, checks, timeout):
            results.append(result)
            bar.update(task, advance=1, description=escape(result.check.name))
    return results


def _print(results: list[Result], *, as_json: bool) -> None:
    counts = {level.value: sum(result.level is level for result in results) for level in Level}
    if as_json:
        common.print_json({"counts": counts, "checks": list(map(_facts, results))})
        return
    for result in results:
        _print_one(result)
    names = {"ok": "ok", "warn": "to be looked at", "fail": "failed", "skipped": "skipped"}
    told = ", ".join(f"{counts[level]} {name}" for level, name in names.items())
    common.console.print(Text(told, "bold"))


def _facts(result: Result) -> dict[str, Any]:
    return {
        "name": result.check.name,
        "level": result.level,
        "looks": result.check.looks,
        "matters": result.check.matters,
        "findings": [asdict(finding) for finding in result.findings],
    }


def _print_one(result: Result) -> None:
    """A line for each finding; below them what that means, and what to do."""
    for finding in result.findings:
        symbol, style = _SYMBOLS[finding.level]
        shown = _PLAIN.get(symbol, symbol) if common.console.options.ascii_only else symbol
        line = Text.assemble((shown, style), " ", result.check.name.ljust(_WIDEST), "  ")
        common.console.print(line, _lines(finding.seen), soft_wrap=True, end="\n", sep="")
        if finding.remedy:
            _below("means: ", result.check.matters)
            _below("do:    ", finding.remedy)


def _below(what: str, text: str) -> None:
    line = Text.assemble((what, "dim"), _lines(text))
    if common.console.is_terminal:
        common.console.print(Padding(line, (0, 0, 0, 4)))
    else:
        common.console.print(Text("    ").append_text(line), soft_wrap=True)


def _lines(text: str) -> str:
    """What others wrote, on one line."""
    return common.printable(" ".join(text.split()))
