"""Compares what is listed and counted of the blobs of a tenant's entries with the entries themselves.

A blob to which no entry refers is no difference: the sweeping removes it, and it counts until then.
"""

from riptide.cache.accounts.audit import Difference, listed_members
from riptide.cache.spill.operations import levels, listed, stubs
from riptide.cache.spill.stub import reference_in
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Pause, ask
from riptide.tenants.accounts.account import Account
from riptide.tenants.accounts.blobs import size_in
from riptide.tenants.accounts.orphans import known
from riptide.tenants.facts import Facts

_STEP = 400
_BEGIN = b"0"
# Between two looks at what differs: it may be written just now.
_PAUSES_SECONDS = (0.0, 0.0, 0.05, 0.5, 1.0)


def blob_differences(keys: Keys, facts: Facts) -> Flow[list[Difference]]:
    """All differences; work may go on meanwhile."""
    found = yield from _sums(keys, facts)
    for tag in facts.tags:
        found += yield from _unlisted(keys, facts, Account(keys, tag))
    return found


def _sums(keys: Keys, facts: Facts) -> Flow[list[Difference]]:
    """What is counted, and the sum of what is listed."""
    counted = there = 0
    for pause in _PAUSES_SECONDS:
        counted = (yield from ask(levels(keys, facts.tenant))).storage_bytes
        sizes: dict[str, int] = {}
        cursor = _BEGIN
        while True:
            cursor, rows = yield from ask(listed(keys, facts.tenant, cursor, _STEP))
            sizes |= {row.member: size_in(row.member) for row in rows}
            if cursor == _BEGIN:
                break
        there = sum(sizes.values())
        if counted == there:
            return []
        yield Pause(pause)
    return [Difference(facts.tenant, "bytes of blobs", counted, there)]


def _unlisted(keys: Keys, facts: Facts, account: Account) -> Flow[list[Difference]]:
    """Entries whose blob would be taken for an orphan."""
    names = keys.record(facts.tenant), keys.entry_blobs(facts.tenant)
    found: list[Difference] = []
    second, members = 0, list[str]()
    while rows := (yield from listed_members(account, second, len(members))):
        found += yield from _check(account, names, facts, [member for member, _ in rows])
        last = rows[-1][1]
        own = [member for member, at in rows if at == last]
        members = members + own if last == second + 1 else own
        second = last - 1
    return found


def _check(
    account: Account, names: tuple[str, str], facts: Facts, members: list[str]
) -> Flow[list[Difference]]:
    for pause in _PAUSES_SECONDS:
        heads = yield from ask(stubs(account, members))
        spilled = {
            reference: member
            for member, (head, _) in zip(members, heads, strict=True)
            if (reference := reference_in(head))
        }
        if not spilled:
            return []
        _, there = yield from ask(known(*names, facts.incarnation, list(spilled)))
        members = [member for member, ok in zip(spilled.values(), there, strict=True) if not ok]
        if not members:
            return []
        yield Pause(pause)
    return [Difference(account.tag, f"blob of the entry {member}", 0, 1) for member in members]
