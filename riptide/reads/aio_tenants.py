"""`rt.tenants`: the registry, policies and the audit trail, asynchronous."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from riptide.reads.exporting import Cursor, Export, Row
from riptide.store.aio import AsyncStore
from riptide.store.operation import Flow
from riptide.streams.message import Ref
from riptide.tenants.registry.audit import AuditPage
from riptide.tenants.registry.facts import Owner
from riptide.tenants.registry.policies import Rule
from riptide.tenants.registry.registry import Registry, TenantPage
from riptide.tenants.registry.tenant import Tenant


class AsyncTenants:
    """Methods mean what those of `Tenants` mean."""

    def __init__(self, store: AsyncStore, registry: Registry, export: Export | None = None) -> None:
        self._store, self._registry, self._export = store, registry, export

    async def create(
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
        return await self._store.drive(
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

    async def show(self, tenant: str) -> Tenant:
        return await self._store.drive(self._registry.show(tenant))

    def showing(self, tenant: str) -> Flow[Tenant]:
        """What `show` drives, for whoever asks for more in the same round trip."""
        return self._registry.show(tenant)

    async def list(self, *, after: str | None = None, limit: int = 100) -> TenantPage:
        return await self._store.drive(self._registry.page(after, limit))

    async def update(
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
        return await self._store.drive(
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

    async def suspend(self, tenant: str, why: str = "", *, actor: str | None = None) -> Tenant:
        return await self._store.drive(self._registry.set_status("suspend", tenant, why, actor))

    async def resume(self, tenant: str, *, actor: str | None = None) -> Tenant:
        return await self._store.drive(self._registry.set_status("resume", tenant, "", actor))

    async def disable(self, tenant: str, why: str = "", *, actor: str | None = None) -> Tenant:
        return await self._store.drive(self._registry.set_status("disable", tenant, why, actor))

    async def delete(self, tenant: str, why: str = "", *, actor: str | None = None) -> Ref:
        return await self._store.drive(self._registry.delete(tenant, why, actor))

    async def export(self, tenant: str, *, entries: bool = False) -> AsyncIterator[Row]:
        assert self._export is not None
        cursor: Cursor | None = Cursor()
        while cursor is not None:
            page = await self._store.drive(self._export.page(tenant, cursor, entries=entries))
            for row in page.rows:
                yield row
            cursor = page.cursor

    async def allow(self, tenant: str, resource: str, action: str, *, actor: str | None = None) -> Tenant:
        return await self._store.drive(self._registry.allow(tenant, resource, action, actor))

    async def disallow(self, tenant: str, resource: str, action: str, *, actor: str | None = None) -> Tenant:
        return await self._store.drive(self._registry.disallow(tenant, resource, action, actor))

    async def policies(self, tenant: str) -> Sequence[Rule]:
        return (await self.show(tenant)).policies

    async def validate_access(self, tenant: str, resource: str, action: str) -> bool:
        return await self._store.drive(self._registry.validate_access(tenant, resource, action))

    async def audit(
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
        return await self._store.drive(
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
