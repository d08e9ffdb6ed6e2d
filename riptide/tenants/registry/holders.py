"""Which plans may not go: those that tenants have, or had in a month that may still be billed."""

import json
from collections import Counter

from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask, ask_all
from riptide.tenants.registry.index import Index
from riptide.tenants.registry.record import Records

_PAGE = 500
#: The month that goes on, and the one before.
_BILLED_MS = 62 * 86_400_000


def holders(keys: Keys, now_ms: int) -> Flow[Counter[str]]:
    """How many tenants need which plan for their invoices. All records are looked at, by the hundreds."""
    index, records = Index(keys), Records(keys)
    found: Counter[str] = Counter()
    after = ""
    while rows := (yield from ask(index.page(after, _PAGE))):
        after = rows[-1][0]
        told = yield from ask_all([records.fields(name, ("plan", "plans")) for name, _ in rows])
        for plan, history in told:
            found.update(_needed(plan, history, now_ms - _BILLED_MS))
    return found


def _needed(plan: str | None, history: str | None, since_ms: int) -> set[str]:
    held = json.loads(history or "[]")
    left_ms = [began for began, _ in held[1:]]  # the last one is the present one
    return {plan, *(name for (_, name), end in zip(held, left_ms, strict=False) if end > since_ms)} - {None}
