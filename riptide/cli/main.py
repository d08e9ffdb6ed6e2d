"""`riptide`: one command line for those who publish and those who operate."""

import sys

import typer

from riptide.cli import config, dead
from riptide.cli.command import command_command
from riptide.cli.publish import publish_command
from riptide.cli.redis import redis_command
from riptide.cli.streams import streams_command
from riptide.cli.worker import worker_command
from riptide.errors import ConfigError, InvalidInput, RiptideError

FAILED, BAD_INPUT = 1, 2

app = typer.Typer(
    help="RipTide: a persistence layer for multi-tenant services, built as workers over Redis Streams.\n\n"
    "Every command reads the configuration named by RIPTIDE_CONFIG, else config/persistence.yml; "
    "'riptide config show' tells what that is. "
    "Exit codes: 0 done, 1 it failed, 2 the input or the configuration is wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("worker")(worker_command)
app.command("publish")(publish_command)
app.command("command")(command_command)
app.command("streams")(streams_command)
app.add_typer(dead.app, name="dead")
app.add_typer(config.app, name="config")
app.command("redis")(redis_command)


def main() -> None:
    """Run the command line; an error of ours becomes one line on standard error and an exit code."""
    try:
        app()
    except RiptideError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT if isinstance(error, ConfigError | InvalidInput) else FAILED)
