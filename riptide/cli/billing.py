"""`riptide billing`: what tenants owe."""

import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from commands import ClosePeriod
from riptide.cli import common
from riptide.cli.command import exit_by, print_status, wait_shown
from riptide.errors import InvalidInput
from riptide.reads.sync_client import RipTide
from riptide.tenants.billing.computing import Line
from riptide.tenants.billing.invoice import Invoice
from riptide.tenants.billing.money import money
from riptide.tenants.plans import MICROS
from riptide.tenants.usage import periods as months

app = typer.Typer(
    help="What tenants owe: estimates, closing months, invoices, credit notes.\n\n"
    "Plans and prices are in tenant.plans_file. Months are in UTC.",
    no_args_is_help=True,
)

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
Month = Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Of this month only.")]


@app.command("estimate")
def estimate_command(
    tenant: Tenant,
    month: common.Month = None,
    as_json: common.Json = False,
) -> None:
    """Tell what the invoice would be if the month ended with what has been counted by now."""
    with common.client() as (rt, _):
        found = rt.billing.estimate(tenant, month)
    _show([found], as_json=as_json, single=True)


@app.command("close")
def close_command(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="The month; it has to be over.")],
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this tenant.", show_default="all")
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Wait so long for its end, and tell it.")
    ] = 60,
    as_json: common.Json = False,
) -> None:
    """Seal a month and write its invoices, by a worker; what was written before stays as it is.

    What is counted of that month later is on the tenant's next invoice. The schedule does it after each
    month's end. The exit code is 0 if it was done, 1 if it is dead or was cancelled, and 3 if it is not
    finished by then.
    """
    with common.client() as (rt, _):
        ref = rt.publish(ClosePeriod(period=months.month(month).name), tenant=tenant)
        status = wait_shown(rt, ref, wait, quiet=as_json)
    print_status(status, as_json=as_json)
    exit_by(status, waited=wait > 0)


@app.command("invoices")
def invoices_command(tenant: Tenant, month: Month = None, as_json: common.Json = False) -> None:
    """Show a tenant's invoices and credit notes."""
    with common.client() as (rt, _):
        _check(rt, tenant, month)
        found = [one for one in rt.billing.invoices(tenant) if month in {None, one.month}]
    _show(found, as_json=as_json)


@app.command("credit")
def credit_command(
    tenant: Tenant,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="The invoice, such as 2026-11.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the invoice's currency, as in 12.50.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stands on the note.")],
    reference: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What you know it by, such as a ticket: it is credited once."),
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Write a credit note: it takes an amount off an invoice, which itself never changes."""
    with common.client() as (rt, _):
        note = rt.billing.credit(
            tenant, number, amount, reason, reference=reference, actor=common.cli_actor()
        )
    _show([note], as_json=as_json, single=True)


@app.command("export")
def export_command(
    month: Month = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this tenant.", show_default="all")
    ] = None,
    form: Annotated[
        Literal["csv", "json"],
        typer.Option(
            "--format", help="csv: a row for each line; json: all that is known, an invoice a line."
        ),
    ] = "csv",
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A new file to write.", show_default="standard output")
    ] = None,
) -> None:
    """Write invoices and credit notes for other programs: a row for each line, amounts with all decimals."""
    with common.client() as (rt, _):
        _check(rt, tenant, month)
        texts = _exported(_invoices(rt, tenant, month), form)
        if output is None:
            for text in texts:
                typer.echo(text, nl=False)
            return
        try:
            with output.open("x", encoding="utf-8", newline="") as file:
                file.writelines(texts)
        except OSError as error:
            raise InvalidInput(f"--output: {error.strerror}: {output}") from None


def _check(rt: RipTide, tenant: str | None, month: str | None) -> None:
    """Raises InvalidInput, UnknownTenant: no invoices are something else."""
    if month is not None:
        months.month(month)
    if tenant is not None:
        rt.tenants.show(tenant)


def _invoices(rt: RipTide, tenant: str | None, month: str | None) -> Iterator[Invoice]:
    with common.bar() as bar:
        task = bar.add_task("invoices", total=None)
        for name in [tenant] if tenant is not None else _all_tenants(rt):
            for one in rt.billing.invoices(name):
                if month in {None, one.month}:
                    yield one
            bar.advance(task)


def _all_tenants(rt: RipTide) -> Iterator[str]:
    after = None
    while True:
        page = rt.tenants.list(after=after, limit=1000)
        yield from (found.id for found in page.tenants)
        if (after := page.cursor) is None:
            return


_COLUMNS = ("tenant", "number", "kind", "month", "currency", "of_month", "plan", "what", "quantity", "amount")


def _exported(invoices: Iterator[Invoice], form: str) -> Iterator[str]:
    if form == "json":
        for one in invoices:
            yield one.model_dump_json() + "\n"
        return
    yield _row(_COLUMNS)
    for one in invoices:
        for line in one.lines or (Line("", None, 1, one.total_micros),):
            what = one.kind if one.kind == "credit_note" else line.metric or "days"
            head = (one.tenant, one.number, one.kind, one.month, one.currency)
            amount = Decimal(line.micros) / MICROS
            yield _row((*head, line.month or one.month, line.plan, what, line.quantity, f"{amount:f}"))


def _row(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()


def _show(invoices: Sequence[Invoice], *, as_json: bool, single: bool = False) -> None:
    if as_json:
        dumped = [one.model_dump(mode="json") for one in invoices]
        common.print_json(dumped[0] if single else dumped)
        return
    if not invoices:
        typer.echo("no invoices")
    for one in invoices:
        common.show(_table(one))


def _table(invoice: Invoice) -> Table:
    title = f"{invoice.kind.replace('_', ' ')} {invoice.number} of {invoice.tenant}"
    table = Table(title=Text(title), show_footer=True)
    if invoice.reason is not None:
        table.caption = Text(common.printable(invoice.reason))
    table.add_column("what", footer="total")
    table.add_column("plan")
    table.add_column("quantity", justify="right")
    total = f"{money(invoice.total_micros)} {invoice.currency}"
    table.add_column("amount", footer=total, justify="right", no_wrap=True)
    for line in invoice.lines:
        what = f"{line.metric} above what is included" if line.metric else "base fee, days"
        late = f" ({line.month}, late)" if line.month else ""
        table.add_row(what + late, line.plan, f"{line.quantity:,}", money(line.micros))
    return table
