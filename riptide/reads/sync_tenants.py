"""`rt.tenants`: the registry, policies and the audit trail, synchronous."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from riptide.reads.exporting import Cursor, Export, Row
from riptide.store.sync import Store
from riptide.streams.message import Ref
from riptide.tenants.registry.audit import AuditPage
from riptide.tenants.registry.facts import Owner
from riptide.tenants.registry.policies import Rule
from riptide.tenants.registry.registry import Registry, TenantPage
from riptide.tenants.registry.tenant import Tenant


class Tenants:
    """All that changes something takes effect with the next call that asks the server.

    `actor` is who does it, for the audit trail; by default whoever runs this process. All raise InvalidInput
    for names and values that cannot be, and where a tenant is to be made or changed, MultiTenancyDisabled;
    what concerns one tenant raises UnknownTenant if there is none.
    """

    def __init__(self, store: Store, registry: Registry, export: Export | None = None) -> None:
        self._store, self._registry, self._export = store, registry, export

    def create(
        self,
        tenant: str | None = None,
        *,
        plan: str = "free",
        name: str | None = None,
        owner: Owner | Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        quotas: Mapping[str, int | None] | None = None,
        shards: int = 1,
        actor: str | None = None,
    ) -> Tenant:
        """Make a tenant, ready to be used; without an id it gets one.

        `quotas` hold over those of the plan; -1 is unlimited. `shards` (1, 2, 4, 8 or 16, for ever) is over
        how many slots of a cluster its data is spread; more than one only for a tenant that must outgrow a
        node. Raises TenantExists, TooManyTenants.
        """
        return self._store.drive(
            self._registry.create(
                tenant,
                plan=plan,
                name=name,
                owner=owner,
                settings=settings,
                metadata=metadata,
                quotas=quotas,
                shards=shards,
                actor=actor,
            )
        )

    def show(self, tenant: str) -> Tenant:
        """The tenant as it is now. Raises UnknownTenant."""
        return self._store.drive(self._registry.show(tenant))

    def list(self, *, after: str | None = None, limit: int = 100) -> TenantPage:
        """A page of all tenants, in order of their ids; `after` is the `cursor` of the page before."""
        return self._store.drive(self._registry.page(after, limit))

    def update(
        self,
        tenant: str,
        *,
        plan: str | None = None,
        name: str | None = None,
        owner: Owner | Mapping[str, str | None] | None = None,
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        quotas: Mapping[str, int | None] | None = None,
        revision: int | None = None,
        actor: str | None = None,
    ) -> Tenant:
        """Change what is given. Of owner, settings, metadata and quotas only what is named changes; None
        takes back what is named.

        Where the plan or a quota is given, the plan's quotas are taken as they are now. With `revision`,
        only that state of the record is changed; else TenantChanged is raised. Raises TenantNotActive for one
        that is disabled.
        """
        return self._store.drive(
            self._registry.update(
                tenant,
                plan=plan,
                name=name,
                owner=owner,
                settings=settings,
                metadata=metadata,
                quotas=quotas,
                revision=revision,
                actor=actor,
            )
        )

    def suspend(self, tenant: str, why: str = "", *, actor: str | None = None) -> Tenant:
        """Let it do nothing until it is resumed. Raises TenantNotActive if it is disabled."""
        return self._store.drive(self._registry.set_status("suspend", tenant, why, actor))

    def resume(self, tenant: str, *, actor: str | None = None) -> Tenant:
        """End a suspension. Raises TenantNotActive if it is disabled."""
        return self._store.drive(self._registry.set_status("resume", tenant, "", actor))

    def disable(self, tenant: str, why: str = "", *, actor: str | None = None) -> Tenant:
        """Close it for good. Its data stays until it is deleted."""
        return self._store.drive(self._registry.set_status("disable", tenant, why, actor))

    def delete(self, tenant: str, why: str = "", *, actor: str | None = None) -> Ref:
        """Close it for good and publish the command that removes all it has; answers that one's reference.

        Raises as `publish` does; then it is closed, and can be deleted again.
        """
        return self._store.drive(self._registry.delete(tenant, why, actor))

    def export(self, tenant: str, *, entries: bool = False) -> Iterator[Row]:
        """All of it that its owner may want, row by row: the record, usage by month, invoices, the audit
        trail; with `entries` what its cache holds, too.

        Rows can be written as JSON. What changes meanwhile may be told as it was before or after, and an
        entry may come twice. Raises UnknownTenant.
        """
        assert self._export is not None
        cursor: Cursor | None = Cursor()
        while cursor is not None:
            page = self._store.drive(self._export.page(tenant, cursor, entries=entries))
            yield from page.rows
            cursor = page.cursor

    def allow(self, tenant: str, resource: str, action: str, *, actor: str | None = None) -> Tenant:
        """Add a rule: each of both is exact, or a beginning with `*` after it, or `*`.

        Without any rule a tenant may do everything; with the first one, only what a rule allows.
        """
        return self._store.drive(self._registry.allow(tenant, resource, action, actor))

    def disallow(self, tenant: str, resource: str, action: str, *, actor: str | None = None) -> Tenant:
        """Take back exactly that rule. After the last one everything is allowed again."""
        return self._store.drive(self._registry.disallow(tenant, resource, action, actor))

    def policies(self, tenant: str) -> Sequence[Rule]:
        """Its rules. Raises UnknownTenant."""
        return self.show(tenant).policies

    def validate_access(self, tenant: str, resource: str, action: str) -> bool:
        """Whether the tenant may do that. False for one that is unknown or not active."""
        return self._store.drive(self._registry.validate_access(tenant, resource, action))

    def audit(
        self,
        tenant: str | None = None,
        *,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        operation: str | None = None,
        actor: str | None = None,
        result: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> AuditPage:
        """Who did what to a tenant, the newest first; without one, the operators' trail: what outlives a
        tenant, such as its creation and its deletion. `cursor` is that of the page before."""
        return self._store.drive(
            self._registry.audit.records(
                tenant,
                since=since,
                until=until,
                operation=operation,
                actor=actor,
                result=result,
                limit=limit,
                cursor=cursor,
            )
        )
