"""`riptide api`: the HTTP API."""

from dataclasses import replace
from typing import Annotated

import typer

from riptide.cli import common
from riptide.errors import ConfigError


def api_command(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on; wins over api.host.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; wins over api.port. 0: a free one.")
    ] = None,
) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C.

    The first signal answers what is under way; a second one stops at once. All but /health/live needs a key:
    'riptide access create' makes one. At the first start of a deployment an admin key is made, and shown
    once. Any number of these processes may run.
    """
    try:
        from riptide.api.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("riptide"):
            raise
        raise ConfigError(
            f"the HTTP API needs the extra api ({error.name} is not installed): "
            "pip install '.[api]' in RipTide's checkout"
        ) from None

    loaded = common.loaded()
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    api = loaded.settings.api.model_copy(update=given)
    serve(replace(loaded, settings=loaded.settings.model_copy(update={"api": api})))
