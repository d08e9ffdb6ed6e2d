"""What the audit trail is told of checkpoints that somebody asked for, and of restores."""

from collections.abc import Iterable
from typing import Any

from riptide.config import Settings
from riptide.errors import ServerRefused
from riptide.logger import get_logger
from riptide.state.checkpoints.manifest import Manifest
from riptide.store.keys import Keys
from riptide.store.sync import Store
from riptide.tenants.registry.audit import OK, Audit, Deed

#: Stands where a tenant is named, for what is about all of them.
EVERYBODY = "*"


class Trail:
    """Notes what `actor` did. A server that is too full for that is no reason to fail."""

    def __init__(self, settings: Settings, store: Store, actor: str) -> None:
        self._audit = Audit(Keys(settings.cache.key_prefix), settings.security)
        self._store, self._actor = store, actor

    def created(self, manifest: Manifest) -> None:
        about = {"kind": manifest.kind, "tenants": manifest.tenants, "bytes": manifest.size}
        self._note(EVERYBODY, "checkpoint", manifest.id, about)

    def restored(self, checkpoint: str, tenants: Iterable[str] | None, about: dict[str, Any]) -> None:
        """In the operators' trail; where `tenants` were named, in that of each, too."""
        named = None if tenants is None else sorted(tenants)
        self._note(
            EVERYBODY, "restore", checkpoint, about if named is None else {**about, "chosen": named[:20]}
        )
        for tenant in named or ():
            self._note(tenant, "restore", checkpoint, about)

    def _note(self, tenant: str, operation: str, checkpoint: str, about: dict[str, Any]) -> None:
        deed = Deed(tenant, self._actor, operation, checkpoint)
        try:
            self._store.drive(self._audit.note(deed, OK, about, operators=tenant == EVERYBODY))
        except ServerRefused as error:
            get_logger("riptide.checkpoints").warning("the audit trail cannot be written", error=str(error))
