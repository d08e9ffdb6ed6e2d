"""All tenants that may hold entries: those with a record, those met without one, and the default one."""

from riptide.config import TenantSettings
from riptide.errors import UnknownTenant
from riptide.names import DEFAULT_TENANT
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


def owners(keys: Keys, settings: TenantSettings, tenant: str | None) -> Flow[list[Facts]]:
    """The facts of one of them, or of all. Raises UnknownTenant."""
    if tenant is None:
        return (yield from everybody(keys, settings))
    if tenant == DEFAULT_TENANT:
        return [DEFAULT]
    found = yield from ask(read_facts(keys, tenant))
    if found is None:
        raise UnknownTenant(f"there is no tenant {tenant!r}")
    return [found]
