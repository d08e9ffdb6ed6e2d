"""The old cache's interface, for services that are cut over one by one, and back (docs/way-back.md)."""

from collections.abc import Callable
from typing import Any

from riptide.cache.core import milliseconds
from riptide.errors import ServerRefused, ServerUnavailable
from riptide.names import check_key
from riptide.reads.outage import dropped
from riptide.reads.sync_cache import Cache
from riptide.store.operation import Operation, identity
from riptide.store.sync import Store


class LegacyCache:
    """Texts under plain keys, in tenant `default`.

    A key that RipTide does not hold is looked up under the old cache's own name, which is the key as it is:
    so a cut-over starts warm. A write removes the old value, or it would come back when the new one expires.
    While RipTide is not in use (`use_persistence_layer`) it is the other way round: texts are read and
    written under the old names, and a write removes what RipTide holds.
    """

    def __init__(self, cache: Cache, store: Store, in_use: Callable[[], bool] = lambda: True) -> None:
        self._cache = cache
        self._store = store
        self._in_use = in_use

    def get(self, key: str) -> str | None:
        """The text, or None; an outage is None too, unless `cache.on_outage` says otherwise. Raises
        InvalidInput for what is no key of RipTide."""
        value = self._cache.get(check_key(key)) if self._in_use() else None
        if value is None:
            return self._old(key)
        return value if isinstance(value, str) else None

    @dropped(False)
    def set(self, key: str, value: str, ttl: float) -> bool:
        """Write a text that lives `ttl` seconds. False where persistence is switched off, and it was
        dropped. Raises InvalidInput, ServerUnavailable."""
        if self._in_use():
            self._cache.set(key, value, ttl=ttl)
            self._store.run(Operation(("DEL", key), identity))
        else:
            left = milliseconds(ttl, "ttl")
            self._store.run(Operation(("SET", check_key(key), value, "PX", left), identity))
            self._cache.delete(key)
        return True

    def _old(self, key: str) -> str | None:
        try:
            return self._store.run(Operation(("GET", key), _text))
        except ServerRefused:
            return None  # the name belongs to something that is no string
        except ServerUnavailable as error:
            self._cache.core.bear(error)
            return None


def _text(reply: Any) -> str | None:
    try:
        return None if reply is None else reply.decode()
    except UnicodeDecodeError:
        return None  # not written by the old cache, which knew texts alone
