"""`riptide commands`: which commands there are, one's own included, and what their bodies look like."""

from typing import Annotated, Any

import typer
from rich.table import Table

from commands import Command
from commands.schemas import body_schema
from riptide.cli import common
from riptide.errors import UnknownCommand
from riptide.streams.registry import load_models

app = typer.Typer(
    help="Which commands there are: RipTide's own and those of workers.modules.", no_args_is_help=True
)


@app.command("list")
def list_command(as_json: common.Json = False) -> None:
    """List the types of command: version of the body, whether a tenant is needed, where it is defined."""
    rows = [_facts(model) for _, model in sorted(_models().items())]
    if as_json:
        common.print_json(rows)
        return
    shown = Table(title="Commands", title_justify="left", box=None, pad_edge=False)
    for name in ("type", "version", "tenant", "defined in", "meaning"):
        shown.add_column(name, overflow="fold" if name in {"defined in", "meaning"} else "ellipsis")
    for row in rows:
        tenant = "needed" if row["tenant_required"] else "-"
        shown.add_row(row["type"], f"{row['version']}", tenant, row["module"], row["meaning"])
    common.show(shown)


@app.command("schema")
def schema_command(
    kind: Annotated[
        str, typer.Argument(metavar="TYPE", help="Type of the command.", autocompletion=common.complete_type)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="It is JSON in any case.")] = False,  # noqa: ARG001
) -> None:
    """Print the JSON Schema of a command's body, as producers of any language need it."""
    models = _models()
    if kind not in models:
        raise UnknownCommand(f"no command is of type {kind!r}; known are {', '.join(sorted(models))}")
    common.print_json(body_schema(models[kind]))


def _models() -> dict[str, type[Command]]:
    return load_models(common.settings().workers.modules)


def _facts(model: type[Command]) -> dict[str, Any]:
    return {
        "type": model.type,
        "version": model.version,
        "tenant_required": model.tenant_required,
        "administrative": model.administrative,
        "module": model.__module__,
        "meaning": (model.__doc__ or "").strip().partition("\n")[0],
    }
