"""What the README shows works as it stands."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import redis

from riptide import connect
from riptide.store.keys import PARTITIONS
from tests.e2e.conftest import ROOT, Program, Tree
from tests.servers import ServerProcess
from tests.support.pages import blocks
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

README = (ROOT / "README.md").read_text()
EXTENDING = (ROOT / "docs/extending.md").read_text()


def block(language: str, part: str, page: str = README) -> str:
    """The one block of a page that contains `part`."""
    (found,) = [text for text in blocks(page, language) if part in text]
    return found


EXAMPLE = block("python", "riptide.connect()")


class Place:
    """A server and a tree; `run` runs the tree's programs against the server."""

    def __init__(self, tree: Tree, server: ServerProcess) -> None:
        self.tree, self.server = tree, server
        self.bin = tree.directory / ".venv/bin"

    def launch(self, program: str, *arguments: str, **more: str) -> Program:
        return self.tree.launch(str(self.bin / program), *arguments, REDIS_URL=self.server.url, **more)

    def run(self, program: str, *arguments: str, **more: str) -> str:
        ended = self.launch(program, *arguments, **more)
        assert ended.end() == 0, ended.out + ended.err
        return ended.out


@pytest.fixture
def place(tree: Tree, private_server: Callable[..., ServerProcess]) -> Place:
    return Place(tree, private_server())


def test_it_opens_with_an_example_of_ten_lines_at_most_and_the_two_commands() -> None:
    assert len(EXAMPLE.splitlines()) <= 10
    assert README.index(EXAMPLE) < README.index(block("sh", "scripts/run"))
    assert [line.split()[0] for line in block("sh", "scripts/run").splitlines()] == [
        "scripts/run",
        "scripts/test",
    ]


def test_the_example_prints_what_its_comments_say(place: Place) -> None:
    (place.tree.directory / "example.py").write_text(EXAMPLE)
    place.run("riptide", "tenant", "create", "acme")
    place.launch("riptide", "worker")
    printed = place.run("python", "example.py").splitlines()
    assert printed == re.findall(r"print\(.*#\s*(.*)$", EXAMPLE, re.MULTILINE)


def test_the_bare_xadd_is_a_whole_producer(place: Place) -> None:
    line = block("sh", "XADD")
    command = shlex.split(line)
    assert command[0] == "redis-cli"
    with connect(place.server.url) as rt, redis.Redis.from_url(place.server.url) as client:
        rt.tenants.create("acme")
        rt.cache.set("tea", 12, tenant="acme", namespace="prices", tags=["drinks"])
        place.launch("riptide", "worker", "--commands", "invalidate")
        client.execute_command(*command[1:])
        eventually(lambda: rt.cache.get("tea", tenant="acme", namespace="prices") is None, "the effect")
    assert re.search(r"\{(\w+)\}", command[2])
    assert re.search(r"\{(\w+)\}", command[2])[1] in PARTITIONS  # type: ignore[index]


def test_commands_of_ones_own(place: Place) -> None:
    for language, name in (("python", "shop.py"), ("yaml", "persistence.yml")):
        (place.tree.directory / name).write_text(block(language, f"# {name}", EXTENDING))
    lines = block("sh", "riptide worker", EXTENDING).splitlines()
    more: dict[str, Any] = {"RIPTIDE_CONFIG": "persistence.yml", "PYTHONPATH": str(place.tree.directory)}
    worker, *publishing = [shlex.split(line.removesuffix("&")) for line in lines]
    place.launch(*worker, **more)
    out = [place.run(*command, **more) for command in publishing]
    assert all("done" in text for text in out)
    with connect(place.server.url) as rt:
        assert rt.cache.get("greeting") == "Hello Ada"
        assert rt.cache.get("tea") == "TEA"
