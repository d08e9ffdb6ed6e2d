"""`riptide publish`: publish one command."""

import sys
from typing import Annotated

import typer

from commands import MalformedBody, UnknownVersion
from riptide.cli import common
from riptide.cli.command import exit_by, print_status, wait_shown
from riptide.cli.times import moment, span
from riptide.errors import InvalidInput, UnknownCommand
from riptide.streams.registry import load_models


def publish_command(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="TYPE",
            help="Type of the command, such as warm or invalidate.",
            autocompletion=common.complete_type,
        ),
    ],
    tenant: Annotated[str | None, typer.Option(help="Tenant that it is about.")] = None,
    body: Annotated[
        str, typer.Option(help="Its body, a JSON object; '-' reads it from standard input.")
    ] = "{}",
    key: Annotated[
        str | None,
        typer.Option(help="Idempotency key: the same one publishes nothing more within the window."),
    ] = None,
    delay: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Start it so much later: 90 (seconds), 5m, 1h30m.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start it then: 2026-11-21T12:00Z; UTC without a zone.")
    ] = None,
    wait: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Wait so long for its end, and tell it.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Publish a command and print its reference.

    Example: riptide publish invalidate --tenant acme --body '{"namespace": "pages", "tags": ["news"]}'
    --wait 5

    With --wait the exit code is 0 if it was done or skipped, 1 if it is dead or was cancelled, and 3 if it is
    not finished by then. What it tells of its progress is shown meanwhile.
    """
    with common.client() as (rt, _):
        models = load_models(rt.settings.workers.modules)
        if kind not in models:
            raise UnknownCommand(f"no command is of type {kind!r}; known are {', '.join(sorted(models))}")
        try:
            command = models[kind].parse(models[kind].version, sys.stdin.read() if body == "-" else body)
        except (MalformedBody, UnknownVersion) as error:
            raise InvalidInput(f"--body: {error}") from None
        ref = rt.publish(
            command,
            tenant=tenant,
            key=key,
            delay=None if delay is None else span("--delay", delay),
            at=None if at is None else moment("--at", at),
        )
        if wait is None:
            common.print_json({"ref": str(ref)}) if as_json else typer.echo(ref)
            return
        status = wait_shown(rt, ref, wait, quiet=as_json)
    print_status(status, as_json=as_json)
    exit_by(status, waited=True)
