"""Nothing is sent that DragonflyDB does not document, but for what does without where that is refused."""

import re
from pathlib import Path

import pytest
import redis

from tests.dragonfly import SPINE
from tests.servers import Server
from tests.servers.restricted import documented

ROOT = Path(__file__).parents[3]
LUA = sorted((ROOT / "riptide").glob("**/*.lua"))
SOURCES = sorted((ROOT / "riptide").glob("**/*.py")) + sorted((ROOT / "workers").glob("**/*.py"))
DOCUMENTED = set(documented())
#: Where a refusal is answered by another way, and by which file.
WITHOUT = {
    "MEMORY USAGE": {"upkeep.lua"},
    "OBJECT IDLETIME": {"idle.lua"},
    "OBJECT FREQ": {"idle.lua"},
    "CLIENT UNBLOCK": {"blocking.py"},
    # Of `riptide doctor`, which says what it could not look at.
    "ACL WHOAMI": {"rights.py"},
    "ACL DRYRUN": {"rights.py"},
    "CLUSTER INFO": {"server.py"},
    "CLUSTER SLOTS": {"server.py"},
}
CONTAINERS = {command.split()[0] for command in {*DOCUMENTED, *WITHOUT} if " " in command}


def named(first: str, second: str) -> str:
    """A command, with its subcommand if it has some."""
    both = f"{first} {second}"
    return both if both in DOCUMENTED or both in WITHOUT or (first in CONTAINERS and second) else first


def refuse(path: Path, commands: set[str]) -> None:
    for command in commands - DOCUMENTED:
        assert path.name in WITHOUT.get(command, set()), f"{path.name} sends {command}"


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_scripts_call_what_is_documented(path: Path) -> None:
    code = re.sub(r"--.*", "", path.read_text("utf-8"))
    calls = re.findall(r"redis\.p?call\(\s*'([A-Z]+)'(?:,\s*'([A-Z]+)')?", code)
    refuse(path, {named(*call) for call in calls})


def test_programs_send_what_is_documented(valkey: Server) -> None:
    """Looked at is every text in capitals that a server knows as a command."""
    with redis.Redis.from_url(valkey.url) as client:
        commands = {name.decode().upper() for name in client.execute_command("COMMAND LIST")}
    found: set[str] = set()
    for path in SOURCES:
        words = re.findall(r'"([A-Z][A-Z_]+)"(?:, "([A-Z]+)")?', path.read_text("utf-8"))
        sent = {named(*word) for word in words if word[0] in commands}
        refuse(path, sent)
        found |= sent
    assert {"MGET", "XREADGROUP", "SCAN", "CLIENT ID"} <= found


def test_the_user_is_refused_what_is_not_documented(dragonfly: Server) -> None:
    with redis.Redis.from_url(dragonfly.url) as client:
        assert client.set("k", "v")
        for command in ("OBJECT FREQ k", "MEMORY USAGE k", "FUNCTION LIST", "ACL WHOAMI"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command.split())


def test_chosen_tests_exist() -> None:
    for test in SPINE:
        path, _, name = test.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), test
