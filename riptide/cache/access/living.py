"""Of whom something may be reported: tenants that are still those that they were."""

from collections.abc import Sequence
from typing import Any

from riptide.cache.access.tally import Tally
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask_all


def living(keys: Keys, tallies: Sequence[Tally]) -> Flow[list[bool]]:
    """Of each: whether its tenant has not been purged, and is no other one by now."""
    answers = yield from ask_all([_incarnation(keys, tally.tenant) for tally in tallies])
    return [answer == tally.incarnation for tally, answer in zip(tallies, answers, strict=True)]


def _incarnation(keys: Keys, tenant: str) -> Operation[str]:
    return Operation(("HGET", keys.record(tenant), "incarnation"), _text)


def _text(reply: Any) -> str:
    return "" if reply is None else str(reply.decode())
