"""Where data keys are: in the blob store for good, in Redis at hand, in this process for a while."""

import time
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any, Protocol

from riptide.errors import BlobNotFound, KeyDestroyed, KeyUnavailable
from riptide.store.keys import Keys
from riptide.store.operation import Call, Flow, Operation, ask
from riptide.store.script import Script
from riptide.tenants.keyring.data_key import DataKey, WrappedKey, make_key, parse_key
from riptide.tenants.keyring.master import MasterKeys

_KEEP = Script.load("riptide.tenants.keyring", "keep_key.lua")
#: So long a process may use a key without looking whether it is still there.
_SECONDS = 60.0
_MOST_HELD = 10_000


class KeyBlobs(Protocol):
    """What keys need of a blob store. Its calls block."""

    def put(self, name: str, data: bytes) -> None: ...
    def get(self, name: str) -> bytes: ...
    def delete(self, name: str) -> None: ...
    def list(self, prefix: str = "") -> Iterator[Any]: ...


#: Calls something that blocks: at once, or in a thread that can be awaited.
Blocking = Callable[[Callable[[], Any]], Any]


class KeyRing:
    """Data keys by tenant, incarnation and id. Each is one blob: purging deletes them, and with them what
    they encrypted, wherever it was copied to.

    The blob store is opened by the first call that needs it; `blocking` calls what blocks. Without master
    keys no key can be made or used, only destroyed. Safe to share between threads.
    """

    def __init__(
        self,
        keys: Keys,
        masters: MasterKeys | None,
        open_blobs: Callable[[], KeyBlobs],
        blocking: Blocking,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys, self.masters, self._open_blobs, self._blocking = keys, masters, open_blobs, blocking
        self._monotonic = monotonic
        self._held: dict[tuple[str, str, int], tuple[float, DataKey]] = {}

    def held(self, tenant: str, incarnation: str, key_id: int) -> DataKey | None:
        """The key, if this process has it at hand; no call."""
        found = self._held.get((tenant, incarnation, key_id))
        return found[1] if found is not None and self._monotonic() < found[0] else None

    def key(self, tenant: str, incarnation: str, key_id: int) -> Flow[DataKey]:
        """Raises KeyDestroyed; KeyUnavailable if it cannot be unwrapped; BlobError, ServerUnavailable."""
        if (key := self.held(tenant, incarnation, key_id)) is not None:
            return key
        masters = self._masters(tenant)
        stored = yield from ask(self._at_hand(tenant, key_id))
        try:
            wrapped = parse_key(stored or b"", tenant, incarnation, key_id)
        except KeyUnavailable:  # not at hand, or another tenant's who had that id
            stored = yield from self._fetch(tenant, incarnation, key_id)
            wrapped = parse_key(stored, tenant, incarnation, key_id)
            yield from ask(self._keep(tenant, incarnation, key_id, stored))
        key = wrapped.unwrapped(masters)
        self._hold(tenant, incarnation, key)
        return key

    def make(self, tenant: str, incarnation: str, now_ms: int) -> Flow[DataKey]:
        """A new key; it is durable when this returns, and nobody uses it before a record names it."""
        masters = self._masters(tenant)
        wrapped = make_key(masters, tenant, incarnation, now_ms)
        yield from self._put(wrapped)
        key = wrapped.unwrapped(masters)
        self._hold(tenant, incarnation, key)
        return key

    def stored(self, tenant: str, incarnation: str) -> Flow[list[WrappedKey]]:
        """All keys of a tenant, oldest first."""
        names: list[str] = yield Call(partial(self._blocking, partial(self._names, tenant, incarnation)))
        found = []
        for name in names:
            data: bytes = yield Call(partial(self._blocking, partial(self._blobs.get, name)))
            found.append(parse_key(data, tenant, incarnation, int(name.rpartition("/")[2])))
        return sorted(found, key=lambda one: (one.created_ms, one.id))

    def rewrap(self, tenant: str, incarnation: str) -> Flow[int]:
        """Wrap what older master keys have wrapped by the newest; answers how many keys that were."""
        masters = self._masters(tenant)
        stored = yield from self.stored(tenant, incarnation)
        older = [one for one in stored if one.master != masters.current]
        for one in older:
            yield from self._put(one.rewrapped(masters))
        return len(older)

    def drop(self, tenant: str, incarnation: str, key_id: int) -> Flow[None]:
        """Delete one key that was never used."""
        yield Call(partial(self._blocking, partial(self._blobs.delete, _name(tenant, incarnation, key_id))))
        yield from ask(Operation(("HDEL", self._keys.keyring(tenant), str(key_id)), int))
        self._held.pop((tenant, incarnation, key_id), None)

    def destroy(self, tenant: str, incarnation: str) -> Flow[int]:
        """Delete all keys of a tenant: nothing that they encrypted can be read again, here at once and in
        other processes within a minute. Answers how many there were."""
        names: list[str] = yield Call(partial(self._blocking, partial(self._names, tenant, incarnation)))
        for name in names:
            yield Call(partial(self._blocking, partial(self._blobs.delete, name)))
        yield from ask(Operation(("DEL", self._keys.keyring(tenant)), int))
        self._held = {place: held for place, held in self._held.items() if place[:2] != (tenant, incarnation)}
        return len(names)

    @cached_property
    def _blobs(self) -> KeyBlobs:
        return self._open_blobs()

    def _masters(self, tenant: str) -> MasterKeys:
        if self.masters is None:
            raise KeyUnavailable(
                f"the data of tenant {tenant} is encrypted, and this process has no master key: set "
                "security.encryption_key (SECURITY_ENCRYPTION_KEY) or security.encryption_key_file"
            )
        return self.masters

    def _names(self, tenant: str, incarnation: str) -> list[str]:
        return [blob.name for blob in self._blobs.list(f"keyring/{tenant}/{incarnation}/")]

    def _fetch(self, tenant: str, incarnation: str, key_id: int) -> Flow[bytes]:
        name = _name(tenant, incarnation, key_id)
        try:
            data: bytes = yield Call(partial(self._blocking, partial(self._blobs.get, name)))
        except BlobNotFound:
            raise KeyDestroyed(
                f"key {key_id} of tenant {tenant} is not in the blob store: it was destroyed, or blobs.url "
                f"is another store than the one it was made in"
            ) from None
        return data

    def _put(self, wrapped: WrappedKey) -> Flow[None]:
        name = _name(wrapped.tenant, wrapped.incarnation, wrapped.id)
        data = wrapped.model_dump_json().encode()
        yield Call(partial(self._blocking, partial(self._blobs.put, name, data)))
        yield from ask(self._keep(wrapped.tenant, wrapped.incarnation, wrapped.id, data))

    def _at_hand(self, tenant: str, key_id: int) -> Operation[bytes | None]:
        return Operation(("HGET", self._keys.keyring(tenant), str(key_id)), lambda reply: reply)

    def _keep(self, tenant: str, incarnation: str, key_id: int, data: bytes) -> Operation[int]:
        names = [self._keys.keyring(tenant), self._keys.record(tenant)]
        return _KEEP.call(names, [incarnation, str(key_id), data], int)

    def _hold(self, tenant: str, incarnation: str, key: DataKey) -> None:
        if len(self._held) >= _MOST_HELD:
            self._held = {}
        self._held[tenant, incarnation, key.id] = self._monotonic() + _SECONDS, key


def _name(tenant: str, incarnation: str, key_id: int) -> str:
    return f"keyring/{tenant}/{incarnation}/{key_id}"
