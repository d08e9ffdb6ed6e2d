"""Entries of tenants whose data is encrypted (docs/encryption.md).

What an entry holds is encrypted after it was compressed: metadata and body together. It is bound to its name
on the server, the tenant's incarnation, and its own header but for the soft expiry, which scripts set. So no
entry can pass for another one, of another key, tenant or time.
"""

from riptide.cache.core import Core
from riptide.cache.entry import key_id_of, parts_of, with_key, with_rest
from riptide.cache.space import Shard
from riptide.errors import KeyDestroyed, UnknownTenant
from riptide.store.operation import Flow
from riptide.tenants.facts import Facts
from riptide.tenants.keyring.data_key import DataKey
from riptide.tenants.keyring.ring import KeyRing


def lock(core: Core, shard: Shard, digest: str, plain: bytes) -> Flow[bytes]:
    """What is to be stored of an entry. Raises KeyUnavailable, ServerUnavailable, BlobError."""
    facts = shard.space.facts
    if not facts.key:
        return plain
    key = yield from _ring(core).key(facts.tenant, facts.key_place, facts.key)
    named = with_key(plain, key.id)
    bound, rest = parts_of(named)
    return with_rest(named, key.encrypt(rest, _about(shard, digest) + bound))


def unlock_at_once(core: Core, shard: Shard, digest: str, data: bytes) -> bytes | None:
    """What is encrypted of an intact entry, plain; None if that needs a call, or a second thought."""
    facts = shard.space.facts
    key = _ring(core).held(facts.tenant, facts.key_place, key_id_of(data))
    return None if key is None else _unlock(key, shard, digest, data)


def unlock(core: Core, shard: Shard, digest: str, data: bytes) -> Flow[bytes | None]:
    """What is encrypted of an intact entry, plain; None if it was encrypted for another place, or its key is
    destroyed.

    Raises KeyUnavailable if its key cannot be had here; ServerUnavailable, BlobError.
    """
    facts = shard.space.facts
    if (rest := (yield from _try(core, facts, shard, digest, data))) is None:
        # The tenant may be another one by now, with other keys.
        try:
            space = yield from core.renew(shard.space)
        except UnknownTenant:
            return None
        if space.facts.incarnation != facts.incarnation:
            return (yield from _try(core, space.facts, space.shard_of(digest), digest, data))
    return rest


def _try(core: Core, facts: Facts, shard: Shard, digest: str, data: bytes) -> Flow[bytes | None]:
    try:
        key = yield from _ring(core).key(facts.tenant, facts.key_place, key_id_of(data))
    except KeyDestroyed:
        return None
    return _unlock(key, shard, digest, data)


def _unlock(key: DataKey, shard: Shard, digest: str, data: bytes) -> bytes | None:
    bound, rest = parts_of(data)
    return key.decrypt(rest, _about(shard, digest) + bound)


def _ring(core: Core) -> KeyRing:
    assert core.ring is not None, "who learns of tenants has a key ring"
    return core.ring


def _about(shard: Shard, digest: str) -> bytes:
    return f"{shard.entry(digest)}\0{shard.incarnation}\0".encode()
