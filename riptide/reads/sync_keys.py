"""`rt.keys`: the data keys by which tenants' data is encrypted, synchronous."""

from riptide.names import DEFAULT_TENANT
from riptide.store.sync import Store
from riptide.tenants.keyring.data_keys import DataKeys, KeyStatus


class KeysFace:
    """Data keys are wrapped by the master key of `security.encryption_key`, and never shown.

    Methods raise UnknownTenant, ServerUnavailable, BlobError; KeyUnavailable without the master key.
    """

    def __init__(self, store: Store, data_keys: DataKeys) -> None:
        self._store, self._data_keys = store, data_keys

    def status(self, tenant: str = DEFAULT_TENANT) -> KeyStatus:
        """Whether a tenant's data is encrypted, and how its keys are wrapped."""
        return self._store.drive(self._data_keys.status(tenant))

    def rotate(self, tenant: str = DEFAULT_TENANT, *, actor: str | None = None) -> KeyStatus:
        """Encrypt what is written from now on by a new key, and wrap the older ones by the newest master key.

        What was written before can still be read. A tenant that is not encrypted any more, or closed, gets no
        new key. Raises InvalidInput for one that was never encrypted.
        """
        return self._store.drive(self._data_keys.rotate(tenant, actor))
