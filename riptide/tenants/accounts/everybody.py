"""All tenants that may hold entries: those with a record, those met without one, and the default one."""

from riptide.config import TenantSettings
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask, ask_all
from riptide.tenants.accounts.unrecorded import met
from riptide.tenants.facts import DEFAULT, Facts, read_facts
from riptide.tenants.registry.index import Index

_PAGE = 500


def everybody(keys: Keys, settings: TenantSettings) -> Flow[list[Facts]]:
    """The facts of all of them, asked for by the hundreds."""
    found = [DEFAULT]
    if not settings.enabled or settings.isolation_level == "none":
        return found
    after = ""
    while rows := (yield from ask(Index(keys).page(after, _PAGE))):
        after = rows[-1][0]
        records = yield from ask_all([read_facts(keys, name) for name, _ in rows])
        found += [facts for facts in records if facts is not None]
    if settings.isolation_level == "logical":
        known = {facts.tenant for facts in found}
        found += [Facts(name) for name in (yield from met(keys)) if name not in known]
    return found
