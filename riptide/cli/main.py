"""`riptide`: one command line for those who publish and those who operate."""

import inspect
import sys

import typer

from riptide.cli import (
    access,
    archive,
    billing,
    cache,
    checkpoint,
    commands,
    config,
    dead,
    keys,
    quota,
    schedule,
    session,
    state,
    tenant,
    usage,
)
from riptide.cli.api import api_command
from riptide.cli.audit import audit_command
from riptide.cli.command import cancel_command, command_command
from riptide.cli.common import printable
from riptide.cli.doctor import doctor_command
from riptide.cli.publish import publish_command
from riptide.cli.redis import redis_command
from riptide.cli.replay import replay_command
from riptide.cli.streams import streams_command
from riptide.cli.worker import worker_command
from riptide.cli.workers import pause_command, quiet_command, resume_command, workers_command
from riptide.errors import ConfigError, InvalidInput, RiptideError

FAILED, BAD_INPUT = 1, 2

_HELP = (
    "RipTide: a persistence layer for multi-tenant services, built as workers over Redis Streams.\n\n"
    "Services read from a cache in Redis or Valkey, and publish what takes work as commands, which workers "
    "carry out.\n\n"
    "To begin: 'riptide redis' starts a server, 'riptide worker' a worker, and 'riptide publish' gives it "
    "work; 'riptide streams' and 'riptide dead list' show how it goes. 'riptide api' "
    "offers all of it over HTTP. Each says more with --help.\n\n"
    "Configuration: RIPTIDE_CONFIG names the file, else it is config/persistence.yml, if there is one. "
    "Environment variables win over the file; REDIS_URL says where the server is, by default "
    "redis://127.0.0.1:6379/0. 'riptide config show' lists all settings and where each value comes from.\n\n"
    "Exit codes: 0 done; 1 it failed, or the command asked about is dead or was cancelled; 2 the input or "
    "the configuration is wrong; 3 the command waited for is not finished yet, or the one to cancel is "
    "running; 4 the command asked about is unknown."
)

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("worker")(worker_command)
app.command("api")(api_command)
app.command("publish")(publish_command)
app.command("command")(command_command)
app.command("cancel")(cancel_command)
app.command("streams")(streams_command)
app.command("workers")(workers_command)
app.command("quiet")(quiet_command)
app.command("pause")(pause_command)
app.command("resume")(resume_command)
app.command("replay")(replay_command)
app.add_typer(tenant.app, name="tenant")
app.command("audit")(audit_command)
app.add_typer(quota.app, name="quota")
app.add_typer(usage.app, name="usage")
app.add_typer(billing.app, name="billing")
app.add_typer(keys.app, name="keys")
app.add_typer(access.app, name="access")
app.add_typer(session.app, name="session")
app.add_typer(state.app, name="state")
app.add_typer(dead.app, name="dead")
app.add_typer(archive.app, name="archive")
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(cache.app, name="cache")
app.add_typer(commands.app, name="commands")
app.add_typer(schedule.app, name="schedule")
app.add_typer(config.app, name="config")
app.command("doctor")(doctor_command)
app.command("redis")(redis_command)


def _join_lines(group: typer.Typer) -> None:
    """A paragraph of a help text is one line: typer would keep the line breaks of docstrings."""
    for command in group.registered_commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    for below in group.registered_groups:
        if below.typer_instance is not None:
            _join_lines(below.typer_instance)


_join_lines(app)


def main() -> None:
    """Run the command line; an error of ours becomes one line on standard error and an exit code."""
    try:
        app()
    except RiptideError as error:
        lines = map(printable, str(error).splitlines())
        print("error: " + "\n".join(lines), file=sys.stderr)
        if recipe := recipe_of(error):
            print(f"what to do: {recipe}", file=sys.stderr)
        sys.exit(BAD_INPUT if isinstance(error, ConfigError | InvalidInput) else FAILED)


def recipe_of(error: RiptideError) -> str:
    """Where the documentation tells more; what is wrong with the input says so itself."""
    kind = type(error)
    if kind is RiptideError or isinstance(error, ConfigError | InvalidInput):
        return ""
    return f"docs/operating.md#{kind.__name__.lower()}"
