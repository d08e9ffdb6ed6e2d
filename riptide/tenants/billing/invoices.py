"""A tenant's invoices and credit notes: written once by a script, in the tenant's slot."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from riptide.errors import InvalidInput, UnknownTenant
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.tenants.billing.invoice import Invoice
from riptide.tenants.billing.money import money
from riptide.tenants.registry.audit import Audit, Deed
from riptide.tenants.registry.tenant import Tenant

_WRITE = Script.load("riptide.tenants.billing", "write_invoice.lua")
_ANOTHER = 0  # the tenant is another one by now
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Credit:
    """To take `micros` off the invoice `number`. `reference` is what the operator knows it by, such as a
    ticket: it makes the credit unique."""

    number: str
    micros: int
    reason: str
    reference: str | None = None


class Invoices:
    """Builds the operations and flows on what has been billed."""

    def __init__(self, keys: Keys, audit: Audit) -> None:
        self._keys, self._audit = keys, audit

    def all_of(self, tenant: str) -> Operation[list[Invoice]]:
        """All of a tenant's, in the order of months; credit notes after the invoice that they correct."""

        def parse(reply: Any) -> list[Invoice]:
            found = [Invoice.model_validate_json(text) for text in reply]
            return sorted(found, key=lambda one: (one.month, one.kind == "credit_note", one.number))

        return Operation(("HVALS", self._keys.invoices(tenant)), parse)

    def write(self, tenant: Tenant, invoice: Invoice, actor: str) -> Flow[Invoice]:
        """Write an invoice, unless there is one of its number: answers the one that stands there now.

        Raises UnknownTenant if the tenant was deleted meanwhile.
        """
        reply = yield from ask(self._write(tenant, invoice, -1, actor))
        if not isinstance(reply, bytes):
            raise UnknownTenant(f"the tenant {tenant.id} was deleted meanwhile; no invoice was written")
        return Invoice.model_validate_json(reply)

    def credit(self, tenant: Tenant, credit: Credit, now_ms: int, actor: str) -> Flow[Invoice]:
        """Take something off an invoice; once for each reference, however often it is asked for.

        Raises InvalidInput if there is no such invoice, or it is not worth that much any more.
        """
        nonce = secrets.token_hex(8)
        for _ in range(_TRIES):
            there = yield from ask(self.all_of(tenant.id))
            for note in there:
                if credit.reference is not None and note.reference == credit.reference:
                    return _checked_repetition(note, credit)
            note = _note(there, credit, now_ms, nonce)
            reply = yield from ask(self._write(tenant, note, len(there), actor))
            if isinstance(reply, bytes):
                return Invoice.model_validate_json(reply)
            if reply == _ANOTHER:
                break
        raise UnknownTenant(f"the tenant {tenant.id} was deleted meanwhile; no credit note was written")

    def _write(self, tenant: Tenant, invoice: Invoice, expected: int, actor: str) -> Operation[Any]:
        told = {"number": invoice.number, "total": f"{money(invoice.total_micros)} {invoice.currency}"}
        deed = Deed(tenant.id, actor, invoice.kind, "billing")
        keys = [self._keys.invoices(tenant.id), self._keys.record(tenant.id), self._keys.audit(tenant.id)]
        text = invoice.model_dump_json(exclude_defaults=True)
        arguments = [tenant.incarnation, invoice.number, text, expected, *self._audit.arguments(deed, told)]
        return _WRITE.call(keys, arguments, lambda reply: reply)


def _note(there: Sequence[Invoice], credit: Credit, now_ms: int, nonce: str) -> Invoice:
    invoice = next((one for one in there if one.number == credit.number and one.kind == "invoice"), None)
    if invoice is None:
        known = ", ".join(one.number for one in there if one.kind == "invoice")
        raise InvalidInput(
            f"there is no invoice {repr(credit.number)[:80]}; "
            + (f"there are: {known}" if known else "the tenant has none yet")
        )
    notes = [one for one in there if one.credits == credit.number]
    left = invoice.total_micros + sum(one.total_micros for one in notes)
    if not 0 < credit.micros <= left:
        raise InvalidInput(
            f"a credit on {invoice.number} is above 0 and at most {money(left)} {invoice.currency}, which is "
            f"what is left of it; not {money(credit.micros)}"
        )
    return Invoice(
        kind="credit_note",
        number=f"{invoice.number}.c{len(notes) + 1}",
        tenant=invoice.tenant,
        month=invoice.month,
        currency=invoice.currency,
        issued_ms=now_ms,
        total_micros=-credit.micros,
        credits=invoice.number,
        reason=credit.reason,
        reference=credit.reference,
        nonce=nonce,
    )


def _checked_repetition(note: Invoice, credit: Credit) -> Invoice:
    if note.credits != credit.number or note.total_micros != -credit.micros:
        raise InvalidInput(
            f"the reference {repr(credit.reference)[:80]} was used before, for {note.number} "
            f"({money(-note.total_micros)} {note.currency}); take another one"
        )
    return note
