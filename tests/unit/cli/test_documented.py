"""The documentation's command lines are those of the program, its links lead somewhere, and each error has a
recipe."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from riptide import errors
from riptide.cli.main import app
from riptide.errors import RiptideError

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
#: Raised by handlers, for workers to hear; or roots, whose messages say all.
_NO_RECIPE = {"RiptideError", "ConfigError", "InvalidInput", "Retry", "Dead", "Skip", "Stopped"}


def command_lines(page: Path) -> list[str]:
    """Each `riptide …` of the page's blocks, without comments, redirections and what comes before."""
    found = []
    for text in BLOCK.findall(page.read_text()):
        for line in text.replace("\\\n", " ").splitlines():
            call = re.match(r"(?:\$ |\w+=\S+ |\S*/)*(riptide (?!\.)[a-z].*)", line.strip())
            if call:
                found.append(re.split(r"\s+(?:[&|>]|#)", call[1])[0])
    return found


ALL: Any = get_command(app)
LINES = [(page.name, line) for page in PAGES for line in command_lines(page)]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_line_is_understood(page: str, line: str) -> None:
    words: list[str] = [__file__ if word.startswith("/") else word for word in shlex.split(line)[1:]]
    command, context = ALL, None
    name = "riptide"
    while below := getattr(command, "commands", None):
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
        name = words.pop(0)
        assert name in below, f"{page}: {line}: there is no {name!r}"
        command = below[name]
    command.make_context(name, words, parent=context)


@pytest.mark.parametrize("line", ["riptide streams --wach", "riptide tenant made acme", "riptide quiet"])
def test_a_wrong_one_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"wach|made|worker"):
        test_a_command_line_is_understood("", line)


def test_there_are_many() -> None:
    assert len(LINES) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        name, _, part = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), f"{page.name}: {link}"
        if part:
            assert part in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    listed = set(LINK.findall((ROOT / "docs/README.md").read_text()))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= listed


def test_every_page_that_the_code_names_exists() -> None:
    files = [file for top in ("commands", "riptide", "workers") for file in (ROOT / top).rglob("*.py")]
    named = {page for file in files for page in re.findall(r"\bdocs/[\w-]+\.md", file.read_text())}
    assert len(named) > 10
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_every_benchmark_that_is_named_exists() -> None:
    (listed,) = re.findall(r"for bench in ([\w ]+);", (ROOT / "docs/figures.md").read_text())
    for bench in listed.split():
        assert (ROOT / f"scripts/bench/{bench}.py").exists(), bench


def test_every_error_has_a_recipe() -> None:
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, RiptideError) and name not in _NO_RECIPE
    }
    headings = set(re.findall(r"^## (\w+)$", (ROOT / "docs/operating.md").read_text(), re.MULTILINE))
    assert kinds <= headings


def test_every_warning_that_is_logged_is_explained() -> None:
    page = (ROOT / "docs/operating.md").read_text()
    files = [file for top in ("riptide", "workers") for file in (ROOT / top).rglob("*.py")]
    told = {event for file in files for event in events(ast.parse(file.read_text()))}
    assert len(told) > 30
    assert [event for event in sorted(told) if f"`{event}`" not in page] == []


def events(tree: ast.AST) -> set[str]:
    """What a module logs as a warning or worse, where it says so in plain text."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    severe = {"warning", "error", "critical", "exception"}
    told = [
        call.args[0] for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in severe
    ]
    told += [
        call.args[-1] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "keep_passing"
    ]
    return {text.value for text in told if isinstance(text, ast.Constant) and isinstance(text.value, str)}
