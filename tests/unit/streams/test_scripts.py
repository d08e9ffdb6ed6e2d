"""Lua files say what they take and return; plain commands are such as redis-py's clients leave alone."""

import ast
import re
from pathlib import Path

import pytest
import redis
import redis.asyncio

from riptide.store.script import Script

ROOT = Path(__file__).parents[3]
LUA = sorted((ROOT / "riptide").glob("**/lua/*.lua"))
PARTS = sorted((ROOT / "riptide").glob("**/lua/parts/*.lua"))
SOURCES = sorted((ROOT / "riptide").glob("**/*.py")) + sorted((ROOT / "workers").glob("**/*.py"))
#: Commands whose reply a client may reshape, because nobody looks at more than its truth.
ONLY_TRUTH = {"SET", "ZSCORE"}


def test_there_are_scripts() -> None:
    assert len(LUA) > 20


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_script_begins_with_what_it_is(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert re.fullmatch(r"#!lua( flags=(no-writes|allow-oom|no-writes,allow-oom))?", lines[0])
    comment = [line for line in lines[1:] if line.startswith("--")]
    head = "\n".join(comment)
    order = [head.find("-- KEYS: "), head.find("-- ARGV: "), head.find("-- Returns: ")]
    assert order[0] > 0, "a sentence says first what it does"
    assert order == sorted(order)
    assert -1 not in order
    assert lines[1].startswith("-- "), "the comment follows the shebang"


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_script_touches_only_the_keys_it_is_given(path: Path) -> None:
    """It builds none, uses each number that it declares, and switches nothing that must not be switched."""
    source = path.read_text("utf-8")
    code = "\n".join(line.split("--")[0] for line in source.splitlines())
    assert not re.search(r"'(KEYS|FLUSHALL|FLUSHDB|SELECT|FUNCTION|SCAN)'", code)
    for call in re.findall(r"redis\.p?call\('[A-Z]+',\s*([^,)]+)", code):
        assert not re.match(r"""['"].*\.\.""", call), f"a key built inside: {call}"
    assert "KEYS" in code or "TIME" in code


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_script_is_loaded_by_somebody(path: Path) -> None:
    assert any(f'"{path.name}"' in source.read_text("utf-8") for source in SOURCES)


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.stem)
def test_a_part_says_what_it_is_and_is_included(path: Path) -> None:
    assert path.read_text("utf-8").startswith("-- ")
    line = re.compile(rf"^ *-- include (?:[\w.]+ )?{path.name}$", re.MULTILINE)
    assert any(line.search(script.read_text("utf-8")) for script in [*LUA, *PARTS])


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_nothing_to_be_included_is_left(path: Path) -> None:
    package = ".".join(path.parents[1].relative_to(ROOT).parts)
    assert "-- include" not in Script.load(package, path.name).source


def test_a_scripts_name_is_its_content() -> None:
    script = Script.load("riptide.streams", "complete.lua")
    assert len(script.sha) == 40
    operation = script.call(["a", "b"], [1, "x"], int)
    assert operation.args == ("EVALSHA", script.sha, 2, "a", "b", 1, "x")
    assert script.full(operation.args) == ("EVAL", script.source, 2, "a", "b", 1, "x")


def plain_commands() -> set[str]:
    """The first word of every `Operation((…))` and `Operation(args=(…))` in the source."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Operation":
                for argument in (*node.args[:1], *(k.value for k in node.keywords if k.arg == "args")):
                    if isinstance(argument, ast.Tuple) and isinstance(argument.elts[0], ast.Constant):
                        found.add(str(argument.elts[0].value))
    return found


def test_plain_commands_are_not_reshaped_by_a_client() -> None:
    """On a cluster replies pass redis-py's table of callbacks: what stands there must not be sent plainly."""
    commands = plain_commands()
    assert {"GET", "XDEL"} & commands, "they are found at all"
    tables = [
        redis.Redis(protocol=2).response_callbacks,
        redis.asyncio.Redis(protocol=2).response_callbacks,
    ]
    for table in tables:
        reshaped = {name for name in commands | {"EVALSHA", "EVAL"} if name in table}
        assert reshaped <= ONLY_TRUTH
