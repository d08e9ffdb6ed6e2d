"""A user of a server who may only run the commands that another product documents."""

from pathlib import Path
from typing import Any

from tests.servers.process import ServerProcess

COMMANDS = Path(__file__).parents[1] / "dragonfly/commands.txt"
_USER, _PASSWORD = "dragonfly", "documented"


def documented() -> list[str]:
    """Commands that DragonflyDB documents, as in `XINFO STREAM`."""
    lines = COMMANDS.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def restrict(process: ServerProcess) -> str:
    """Make the user, who may reach every key; answers the URL under whose name that is."""
    with process.client(decode_responses=True) as client:
        listed: Any = client.execute_command("COMMAND LIST")
        there = set(listed)
        wanted = ["|".join(command.lower().split()) for command in documented()]
        rules = [f"+{name}" for name in wanted if name in there]
        client.execute_command(
            "ACL SETUSER", _USER, "reset", "on", f">{_PASSWORD}", "~*", "&*", "-@all", *rules
        )
    return process.url.replace("//", f"//{_USER}:{_PASSWORD}@")
