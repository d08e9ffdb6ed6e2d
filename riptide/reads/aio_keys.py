"""`rt.keys`: the data keys by which tenants' data is encrypted, asynchronous."""

from riptide.names import DEFAULT_TENANT
from riptide.store.aio import AsyncStore
from riptide.tenants.keyring.data_keys import DataKeys, KeyStatus


class AsyncKeysFace:
    """Methods mean what those of `KeysFace` mean."""

    def __init__(self, store: AsyncStore, data_keys: DataKeys) -> None:
        self._store, self._data_keys = store, data_keys

    async def status(self, tenant: str = DEFAULT_TENANT) -> KeyStatus:
        return await self._store.drive(self._data_keys.status(tenant))

    async def rotate(self, tenant: str = DEFAULT_TENANT, *, actor: str | None = None) -> KeyStatus:
        return await self._store.drive(self._data_keys.rotate(tenant, actor))
