"""`riptide config`: check the configuration, show it with its sources, its JSON Schema, its versions."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riptide.cli.config_versions import apply_command, diff_command, history_command, rollback_command
from riptide.config import Loaded, load
from riptide.config.catalog import sections
from riptide.config.describe import Row, json_schema, rows
from riptide.config.loader import DEFAULT_SOURCE
from riptide.errors import ConfigError
from riptide.tenants.keyring.master import load_master_keys
from riptide.tenants.plans import load_plans

BAD_CONFIGURATION = 2

app = typer.Typer(
    help="Check and show the configuration of this host, and the versions that the deployment shares.\n\n"
    "It is read from the file that is named here, else by RIPTIDE_CONFIG, else from config/persistence.yml. "
    "Environment variables win over the file, and the file over the defaults.",
    no_args_is_help=True,
)
app.command("history")(history_command)
app.command("diff")(diff_command)
app.command("rollback")(rollback_command)
app.command("apply")(apply_command)

_FILE_HELP = "File to read instead of RIPTIDE_CONFIG or config/persistence.yml."
File = Annotated[Path | None, typer.Argument(metavar="PATH", help=_FILE_HELP)]


@app.command()
def check(path: File = None) -> None:
    """Say whether the configuration can be used: exit code 0 if so, 2 if not.

    Tells all errors at once, each with its file and line or its variable, and settings that have no effect.
    The file of the tenants' plans and the master key are checked too.
    """
    loaded = _load(path)
    given = [source for source in loaded.sources.values() if source != DEFAULT_SOURCE]
    from_variables = sum(source.startswith("env ") for source in given)
    where = f"{loaded.path} is valid" if loaded.path else "there is no file"
    counted = f"{len(given) - from_variables} from the file, {from_variables} from variables"
    typer.echo(f"{where}: of {len(loaded.sources)} settings, {counted}, the rest defaults")
    for notice in loaded.notices:
        typer.echo(f"note: {notice}")
    _check_files(loaded)


@app.command()
def show(
    path: File = None,
    section: Annotated[str | None, typer.Option(help=f"Only one of: {', '.join(sections())}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: setting -> value and source.")] = False,
) -> None:
    """Show every setting with its value and where that comes from. Secrets are masked."""
    if section is not None and section not in sections():
        raise typer.BadParameter(f"there is no section {section!r}; it is one of {', '.join(sections())}")
    listed = list(rows(_load(path), section))
    if as_json:
        shown = {row.setting.path: {"value": row.value, "source": row.source} for row in listed}
        typer.echo(json.dumps(shown, indent=2))
    else:
        Console().print(_table(listed))


@app.command()
def schema() -> None:
    """Print the file's JSON Schema, with which editors check and complete it.

    The repository keeps it: riptide config schema > config/schema.json
    """
    typer.echo(json_schema(), nl=False)


def _load(path: Path | None) -> Loaded:
    try:
        return load(path)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_CONFIGURATION) from None


def _check_files(loaded: Loaded) -> None:
    """What settings name: the plans, the master key."""
    settings, wrong = loaded.settings, []
    for read in (
        lambda: load_plans(settings.tenant.plans_file),
        lambda: load_master_keys(settings.security),
    ):
        try:
            read()
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        typer.echo("\n".join(wrong), err=True)
        raise typer.Exit(BAD_CONFIGURATION)


def _table(listed: list[Row]) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("setting", "value", "source"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "setting")
    for row in listed:
        style = "dim" if row.source == DEFAULT_SOURCE else ""
        # As Text, so that brackets in a value are not taken for markup.
        table.add_row(*(Text(cell, style) for cell in (row.setting.path, _shown(row.value), row.source)))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
