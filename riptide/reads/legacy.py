"""The old cache's interface, for services that are cut over one by one (FEATURES B13)."""

from typing import Any

from riptide.errors import ServerRefused
from riptide.reads.sync_cache import Cache
from riptide.store.operation import Operation, identity
from riptide.store.sync import Store


class LegacyCache:
    """Texts under plain keys, in tenant `default`.

    A key that RipTide does not hold is looked up under the old cache's own name, which is the key as it is:
    so a cut-over starts warm. A write removes the old value, or it would come back when the new one expires.
    """

    def __init__(self, cache: Cache, store: Store) -> None:
        self._cache = cache
        self._store = store

    def get(self, key: str) -> str | None:
        """The text, or None. Raises InvalidInput for what is no key of RipTide, ServerUnavailable."""
        value = self._cache.get(key)
        if value is None:
            return self._old(key)
        return value if isinstance(value, str) else None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Write a text that lives `ttl` seconds."""
        self._cache.set(key, value, ttl=ttl)
        self._store.run(Operation(("DEL", key), identity))

    def _old(self, key: str) -> str | None:
        try:
            return self._store.run(Operation(("GET", key), _text))
        except ServerRefused:
            return None  # the name belongs to something that is no string


def _text(reply: Any) -> str | None:
    try:
        return None if reply is None else reply.decode()
    except UnicodeDecodeError:
        return None  # not written by the old cache, which knew texts alone
