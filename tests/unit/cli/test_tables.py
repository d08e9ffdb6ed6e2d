"""Tables of the command line: what stands in them is never cut."""

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.cli.config_versions import _listed

NAME, NUMBER = "n" * 63, f"{2**53 - 1:,}"


def shown(monkeypatch: pytest.MonkeyPatch, table: Table, width: int) -> list[str]:
    console = Console(width=width)
    monkeypatch.setattr(common, "console", console)
    with console.capture() as printed:
        common.show(table)
    return [line.rstrip() for line in printed.get().splitlines()]


def table_of(*, text: str) -> Table:
    table = Table(title=Text("A title with [words]"), title_justify="left", box=None, pad_edge=False)
    table.add_column("id")
    table.add_column("number", justify="right")
    table.add_column("about", overflow="fold")
    table.add_row(NAME, NUMBER, Text(text))
    return table


@pytest.mark.parametrize("width", [10, 40, 80])
def test_ids_and_numbers_are_whole_and_text_folds(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = "".join(chr(ord("a") + n % 26) for n in range(100))
    lines = shown(monkeypatch, table_of(text=text), width)
    start = next(n for n, line in enumerate(lines) if line.startswith("id "))
    head, first, *more = lines[start:]
    assert head.split() == ["id", "number", "about"]
    name, number, beginning = first.split()
    assert (name, number) == (NAME, NUMBER)
    assert beginning + "".join(line.strip() for line in more) == text
    assert len(more) == 4, "it is at least 20 wide"


def test_what_fits_is_no_wider_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, table_of(text="short"), 120)
    assert lines == [
        "A title with [words]",
        f"{'id':63}  {'number':>21}  about",
        f"{NAME}  {NUMBER}  short",
    ]


def test_a_title_and_a_note_stand_on_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(title="Title of more words", caption="A caption of even more words", box=None)
    table.add_column("a")
    table.add_row("1")
    lines = [line.strip() for line in shown(monkeypatch, table, 80)]
    assert (lines[0], lines[-1]) == ("Title of more words", "A caption of even more words")


def test_what_others_wrote_is_no_markup() -> None:
    table = Table("name")
    table.add_row("[/red] :smile: [bold]x[/bold]")
    with common.console.capture() as printed:
        common.show(table)
    assert "[/red] :smile: [bold]x[/bold]" in printed.get()


def test_a_page_of_names_is_cut_short() -> None:
    assert _listed([], 1) == "-"
    assert _listed(list("abcde"), 2) == "a\nb\nc\nd\ne"
    assert _listed(list("abcdefg"), 3) == "a\nb\nc\nd\ne\nand 2: config diff 2 3"
