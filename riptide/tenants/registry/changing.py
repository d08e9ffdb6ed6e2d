"""Changes a tenant's record: read, edited, and written if nobody else came between."""

import secrets
from collections.abc import Callable, Mapping

from riptide.errors import InvalidInput, TenantChanged, TenantNotActive, UnknownTenant
from riptide.store.operation import Flow, ask, ask_all
from riptide.tenants.registry.audit import REFUSED, Audit, Deed
from riptide.tenants.registry.record import Change, Records
from riptide.tenants.registry.tenant import Fields, Tenant, differences, tenant_of

_TRIES = 50

#: From a tenant as it is, and the server's time: fields of its record as they shall be; None: no such field.
Edit = Callable[[Tenant, int], Mapping[str, str | None]]


class Changing:
    def __init__(self, records: Records, audit: Audit) -> None:
        self._records, self._audit = records, audit

    def change(
        self, deed: Deed, edit: Edit, revision: int | None = None, *, closed_too: bool = False
    ) -> Flow[Tenant]:
        """`revision` is the only one to be changed; with `closed_too` a disabled tenant may be, too.

        Raises InvalidInput, UnknownTenant; TenantNotActive and TenantChanged, and notes these.
        """
        if revision is not None and (type(revision) is not int or revision < 1):
            raise InvalidInput(f"a revision is a whole number from 1, not {repr(revision)[:80]}")
        try:
            return (yield from self._change(deed, edit, revision, closed_too=closed_too))
        except (TenantNotActive, TenantChanged) as error:
            yield from self._audit.note(deed, REFUSED, {"why": type(error).__name__})
            raise

    def _change(self, deed: Deed, edit: Edit, revision: int | None, *, closed_too: bool) -> Flow[Tenant]:
        tenant, change_id = deed.tenant, secrets.token_hex(8)
        for _ in range(_TRIES):
            stored = yield from ask(self._records.read(tenant))
            if not stored.fields:
                raise unknown(tenant)
            found = tenant_of(tenant, stored.fields)
            _check(found, revision, closed_too=closed_too)
            change = Change(change_id, edit(found, stored.now_ms)).without_what_is(stored.fields)
            fields: Fields | None = stored.fields
            if change.values:
                after = tenant_of(tenant, change.applied(stored.fields))
                audit = self._audit.arguments(deed, differences(found, after))
                fields = yield from ask(self._records.change(tenant, stored, change, audit))
            if fields is not None:
                # Also where nothing changed: who changed it last may have died before this.
                yield from ask_all(self._records.change_mirrors(tenant, fields))
                return tenant_of(tenant, fields)
        raise TenantChanged(f"others keep changing the tenant {tenant}; try again")


def unknown(tenant: str) -> UnknownTenant:
    return UnknownTenant(f"there is no tenant {tenant}; 'riptide tenant list' shows those that are")


def _check(found: Tenant, revision: int | None, *, closed_too: bool) -> None:
    if found.status == "disabled" and not closed_too:
        because = f" ({found.why})" if found.why else ""
        raise TenantNotActive(
            f"the tenant {found.id} is closed for good{because}: it can only be deleted",
            status=found.status,
            why=found.why,
        )
    if revision is not None and revision != found.revision:
        raise TenantChanged(
            f"the tenant {found.id} has revision {found.revision} by now, not {revision}: look at it again"
        )
