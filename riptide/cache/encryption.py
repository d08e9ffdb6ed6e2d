"""Entries of tenants whose data is encrypted (DESIGN §6, "Encryption").

What an entry holds is encrypted after it was compressed: metadata and body together. It is bound to its name
on the server, the tenant's incarnation, and its own header but for the soft expiry, which scripts set. So no
entry can pass for another one, of another key, tenant or time.
"""

from riptide.cache.core import Core
from riptide.cache.entry import parts_of, with_rest
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
    stamped = with_rest(plain, key.id, parts_of(plain).rest)
    parts = parts_of(stamped)
    return with_rest(stamped, key.id, key.encrypt(parts.rest, _about(shard, digest) + parts.bound))


def unlock_at_once(core: Core, shard: Shard, digest: str, data: bytes) -> bytes | None:
    """The plain entry of an intact one; None if that needs a call, or a second thought."""
    facts = shard.space.facts
    key = _ring(core).held(facts.tenant, facts.key_place, parts_of(data).key_id)
    return None if key is None else _unlock(key, shard, digest, data)


def unlock(core: Core, shard: Shard, digest: str, data: bytes) -> Flow[bytes | None]:
    """The plain entry of an intact one; None if it was encrypted for another place, or its key is destroyed.

    Raises KeyUnavailable if its key cannot be had here; ServerUnavailable, BlobError.
    """
    facts = shard.space.facts
    if (plain := (yield from _try(core, facts, shard, digest, data))) is None:
        # The tenant may be another one by now, with other keys.
        try:
            space = yield from core.renew(shard.space)
        except UnknownTenant:
            return None
        if space.facts.incarnation != facts.incarnation:
            return (yield from _try(core, space.facts, space.shard_of(digest), digest, data))
    return plain


def _try(core: Core, facts: Facts, shard: Shard, digest: str, data: bytes) -> Flow[bytes | None]:
    try:
        key = yield from _ring(core).key(facts.tenant, facts.key_place, parts_of(data).key_id)
    except KeyDestroyed:
        return None
    return _unlock(key, shard, digest, data)


def _unlock(key: DataKey, shard: Shard, digest: str, data: bytes) -> bytes | None:
    parts = parts_of(data)
    rest = key.decrypt(parts.rest, _about(shard, digest) + parts.bound)
    return None if rest is None else with_rest(data, 0, rest)


def _ring(core: Core) -> KeyRing:
    assert core.ring is not None, "who learns of tenants has a key ring"
    return core.ring


def _about(shard: Shard, digest: str) -> bytes:
    return f"{shard.entry(digest)}\0{shard.incarnation}\0".encode()
