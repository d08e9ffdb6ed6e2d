"""`riptide redis`: run the embedded Valkey in the foreground."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from riptide.store.embedded import EmbeddedError, EmbeddedServer

DEFAULT_PORT = 6379


def redis_command(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port on 127.0.0.1.", show_default=str(DEFAULT_PORT)),
    ] = None,
    unixsocket: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Listen on this unix socket instead of a port.")
    ] = None,
    directory: Annotated[Path, typer.Option("--dir", metavar="PATH", help="Where its data is kept.")] = Path(
        ".riptide"
    ),
) -> None:
    """Run the embedded Valkey, with its data kept in .riptide, until Ctrl-C or SIGTERM.

    It listens on loopback or a unix socket only. It needs the extra `embedded`.
    """
    if port is None and unixsocket is None:
        port = DEFAULT_PORT
    try:
        server = EmbeddedServer(directory, port=port, unixsocket=unixsocket)
        typer.echo(f"Valkey at {server.url}, data in {server.directory}; Ctrl-C stops it")
        # What is still in a buffer would be lost when Valkey takes this process's place.
        sys.stdout.flush()
        server.exec()
    except EmbeddedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
