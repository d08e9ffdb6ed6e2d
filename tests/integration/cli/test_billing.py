"""`riptide billing`."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.billing.conftest import LAST, Office, named, open_office, this_month
from tests.integration.cli.conftest import Cli
from tests.support.deployment import Deployment

__all__ = ["open_office"]
NUMBER = named(LAST)
ON = [("ENABLE_MULTI_TENANCY", "true")]


@pytest.fixture
def office(on_valkey: Deployment, open_office: Callable[..., Office]) -> Office:
    made = open_office(on_valkey)
    made.tenant("acme")
    made.rt.billing.close("acme", NUMBER)
    return made


def test_invoices_credit_notes_and_their_export(
    office: Office, riptide_on_valkey: Cli, tmp_path: Path
) -> None:
    riptide = riptide_on_valkey
    note = riptide(
        *("billing", "credit", "acme", NUMBER, "9.5", "--reason", "an [b]outage[/i]", "--json"), extra=ON
    ).json
    assert note["number"] == f"{NUMBER}.c1"
    shown = riptide("billing", "invoices", "acme", extra=ON)
    assert "49.00 EUR" in shown.out
    assert "-9.50 EUR" in shown.out
    assert "an [b]outage[/i]" in shown.out
    file = tmp_path / "invoices.csv"
    assert riptide("billing", "export", "--month", NUMBER, "--output", str(file), extra=ON).code == 0
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert [(row["kind"], row["what"], row["amount"]) for row in rows] == [
        ("invoice", "days", "49"),
        ("credit_note", "credit_note", "-9.5"),
    ]
    again = riptide("billing", "export", "--output", str(file), extra=ON)
    assert again.code != 0
    lines = riptide("billing", "export", "--format", "json", extra=ON).out.splitlines()
    dumped = [one.model_dump(mode="json") for one in office.rt.billing.invoices("acme")]
    assert [json.loads(line) for line in lines] == dumped
    estimate = riptide("billing", "estimate", "acme", "--json", extra=ON).json
    assert (estimate["kind"], estimate["month"]) == ("estimate", this_month())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("estimate", "nobody"), "no tenant nobody"),
        (("estimate", "acme", "--month", "last"), "is no month"),
        (("credit", "acme", "1999-01", "1", "--reason", "x"), "there is no invoice"),
        (("credit", "acme", NUMBER, "0", "--reason", "x"), "above 0"),
        (("credit", "acme", NUMBER, "1", "--reason", "x\x1b[31m"), "printable"),
        (("credit", "acme", NUMBER, "1", "--reason", "x", "--reference", ""), "a reference is a text"),
        (("invoices", "nobody"), "no tenant nobody"),
        (("invoices", "acme", "--month", "2026-13"), "is no month"),
        (("export", "--tenant", "nobody"), "no tenant nobody"),
        (("export", "--month", "last"), "is no month"),
        (("close", "2026", "--wait", "0"), "is no month"),
    ],
)
@pytest.mark.usefixtures("office")
def test_bad_input(riptide_on_valkey: Cli, arguments: tuple[str, ...], says: str) -> None:
    shown = riptide_on_valkey("billing", *arguments, extra=ON)
    assert shown.code != 0
    assert says in shown.err + shown.out
