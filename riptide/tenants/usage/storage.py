"""What a tenant's cache held over time, and its blobs of entries and sessions, as accounts integrate it."""

from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account, total
from riptide.tenants.facts import KnownTenants
from riptide.tenants.usage.periods import month

_SETTLE = Script.load("riptide.tenants.accounts", "settle_storage.lua")


def byte_seconds(keys: Keys, known: KnownTenants, tenant: str, month_name: str) -> Flow[int]:
    """Byte-seconds of a month up to now; once the month is over, they do not change any more.

    Raises InvalidInput, UnknownTenant, MultiTenancyDisabled.
    """
    name = month(month_name).name
    facts = yield from known.learn(tenant)
    if facts.tenant != tenant:
        return 0  # with isolation none the cache is nobody's own
    yield from ask(_SETTLE.call([keys.account(tenant), keys.session_account(tenant)], [], int))
    figures = yield from total([Account(keys, tag) for tag in facts.tags], [name])
    if tenant not in facts.tags:  # its own account has only what blobs came to
        figures += yield from ask(Account(keys, tenant).held([name]))
    return figures.byte_seconds[name]
