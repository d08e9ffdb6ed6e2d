"""Lua files say what they take and return; plain commands are such as redis-py's clients leave alone."""

import ast
import hashlib
import re
from itertools import takewhile
from pathlib import Path

import pytest
import redis
import redis.asyncio

from riptide.store.script import Script

ROOT = Path(__file__).parents[3]
SNIPPETS = sorted((ROOT / "riptide/store/lua").glob("*.lua"))
PARTS = sorted((ROOT / "riptide").glob("**/lua/parts/*.lua"))
LUA = sorted(set((ROOT / "riptide").glob("**/*.lua")) - {*SNIPPETS, *PARTS})
SOURCES = sorted((ROOT / "riptide").glob("**/*.py")) + sorted((ROOT / "workers").glob("**/*.py"))
#: Commands whose reply a client may reshape, because nobody looks at more than its truth.
ONLY_TRUTH = {"SET", "ZSCORE"}
#: Those whose parsers take both forms, because a script would cost as much again.
EITHER_FORM = {"HGETALL"}


def loaded(path: Path) -> Script:
    return Script.load(".".join(path.parents[1].relative_to(ROOT).parts), path.name)


def code_of(source: str) -> str:
    return "\n".join(line.split("--")[0] for line in source.splitlines())


def included(path: Path) -> list[str]:
    """The snippets that a file names itself."""
    return re.findall(r"^ *-- include: (\w+\.lua)$", path.read_text("utf-8"), re.MULTILINE)


def test_there_are_scripts() -> None:
    assert len(LUA) > 20
    assert SNIPPETS


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_script_begins_with_what_it_is(path: Path) -> None:
    lines = loaded(path).source.splitlines()
    assert re.fullmatch(r"#!lua( flags=(no-writes|allow-oom|no-writes,allow-oom))?", lines[0])
    head = "\n".join(takewhile(lambda line: line.startswith("--"), lines[1:]))
    order = [head.find("-- KEYS: "), head.find("-- ARGV: "), head.find("-- Returns: ")]
    assert order[0] > 0, "a sentence says first what it does"
    assert order == sorted(order)
    assert -1 not in order
    assert lines[1].startswith("-- "), "the comment follows the shebang"


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_script_touches_only_the_keys_it_is_given(path: Path) -> None:
    """It builds none, uses each number that it declares, and switches nothing that must not be switched."""
    code = code_of(loaded(path).source)
    assert not re.search(r"'(KEYS|FLUSHALL|FLUSHDB|SELECT|FUNCTION|SCAN)'", code)
    for call in re.findall(r"redis\.p?call\('[A-Z]+',\s*([^,)]+)", code):
        assert not re.match(r"""['"].*\.\.""", call), f"a key built inside: {call}"
    assert "KEYS" in code or "TIME" in code or "INFO" in code


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_script_is_loaded_by_somebody(path: Path) -> None:
    assert any(f'"{path.name}"' in source.read_text("utf-8") for source in SOURCES)


@pytest.mark.parametrize("path", [*LUA, *SNIPPETS], ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_what_is_called_is_included_and_nothing_else(path: Path) -> None:
    own = path.read_text("utf-8")
    named = re.findall(r"include: (?:[\w.]+ )?\w+\.lua", own)
    others = re.findall(r"^ *-- include: [\w.]+ \w+\.lua$", own, re.MULTILINE)
    assert len(named) == len(included(path)) + len(others), "each stands on a line of its own, as it must"
    code = code_of(own)
    defined = set(re.findall(r"function (\w+)", code))
    called = set(re.findall(r"\b(\w+)\(", code)) - defined
    needed = [name for name, functions in snippets().items() if called & functions]
    assert included(path) == needed
    if re.search(r"^ +-- include: \w+\.lua$", own, re.MULTILINE):
        assert len(needed) == 1, "what is included in a block is there for that block alone"


def snippets() -> dict[str, set[str]]:
    """What each snippet defines, by its name."""
    return {
        path.name: set(re.findall(r"^local function (\w+)", path.read_text("utf-8"), re.MULTILINE))
        for path in SNIPPETS
    }


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.stem)
def test_a_part_says_what_it_is_and_is_included(path: Path) -> None:
    assert path.read_text("utf-8").startswith("-- ")
    line = re.compile(rf"^ *-- include: [\w.]+ {path.name}$", re.MULTILINE)
    assert any(line.search(script.read_text("utf-8")) for script in [*LUA, *PARTS])


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.stem)
def test_a_snippet_says_what_it_defines_and_serves_several(path: Path) -> None:
    header, *_ = path.read_text("utf-8").splitlines()
    assert any(header.startswith(f"-- {name}(") for name in snippets()[path.name])
    users = [script for script in LUA if header in loaded(script).source]
    assert len(users) >= 2


def test_each_snippet_stands_once_in_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lua = tmp_path / "some_package/lua"
    lua.mkdir(parents=True)
    (lua.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (lua / "twice.lua").write_text("#!lua\n-- include: groups.lua\n-- include: fields.lua\nreturn 1\n")
    script = Script.load("some_package", "twice.lua")
    assert re.findall(r"^local function (\w+)", script.source, re.MULTILINE) == ["fields", "groups_of"]
    assert "include:" not in script.source
    assert script.source.startswith("#!lua\n")
    assert script.source.endswith("\nreturn 1\n")
    assert script.sha == hashlib.sha1(script.source.encode(), usedforsecurity=False).hexdigest()
    (lua / "typo.lua").write_text("#!lua\n-- include: nothing.lua\nreturn 1\n")
    with pytest.raises(FileNotFoundError, match=r"nothing\.lua"):
        Script.load("some_package", "typo.lua")


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
        assert reshaped <= ONLY_TRUTH | EITHER_FORM
