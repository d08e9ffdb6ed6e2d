"""Where the entries of a namespace are: its shards, their keys, and which shard holds which key."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from riptide.errors import InvalidInput
from riptide.names import check_namespace, check_tenant
from riptide.store.keys import Keys

_TAG_ID_BYTES = 8
_NO_TEXT = "a cache key is a text that UTF-8 can hold"


class Shard:
    """The keys of one namespace in one slot. `seen_epoch` is what the server last told: a hint, no more."""

    __slots__ = ("_keys", "_tag", "epoch", "generation", "namespace", "namespaces", "prefix", "seen_epoch")

    def __init__(self, keys: Keys, tag: str, namespace: str) -> None:
        self._keys, self._tag, self.namespace = keys, tag, namespace
        self.prefix = keys.namespace(tag, namespace)
        self.epoch = keys.epoch(tag, namespace)
        self.namespaces = keys.namespaces(tag)
        self.generation = keys.tag_generation(tag)
        self.seen_epoch: bytes | None = None

    def entry(self, digest: str) -> str:
        return self.prefix + digest

    def lease(self, digest: str) -> str:
        return self._keys.lease(self._tag, self.namespace, digest)

    def index(self, tag_id: bytes) -> str:
        return self._keys.tag(self._tag, self.namespace, tag_id.hex())

    def stamp(self, tag_id: bytes) -> str:
        return self._keys.tag_stamp(self._tag, self.namespace, tag_id.hex())

    def doomed(self, tag_id: bytes) -> str:
        return self._keys.tag_doomed(self._tag, self.namespace, tag_id.hex())

    def epoch_of(self, namespace: str) -> str:
        """The epoch of another namespace of the same tenant, in the same slot."""
        return self._keys.epoch(self._tag, namespace)


class Space:
    """One namespace of one tenant. Raises InvalidInput before any key is built from a bad name."""

    __slots__ = ("_salt", "name", "shards", "tenant")

    def __init__(
        self, keys: Keys, version: str, tenant: str, namespace: str, shards: Callable[[str], int]
    ) -> None:
        self.tenant, self.name = check_tenant(tenant), check_namespace(namespace)
        count = shards(tenant)
        tags = [tenant] if count == 1 else [f"{tenant}.{n}" for n in range(count)]
        self.shards = [Shard(keys, tag, namespace) for tag in tags]
        self._salt = version.encode() + b"\0"

    def place(self, key: str) -> tuple[Shard, str]:
        """The shard that holds `key`, and the digest that stands for it. Raises InvalidInput."""
        digest = self._digests([key])[0]
        shards = self.shards
        if len(shards) == 1:
            return shards[0], digest
        return shards[int(digest[:8], 16) % len(shards)], digest

    def _digests(self, keys: list[str]) -> list[str]:
        salt = self._salt
        try:
            return [_digest(salt, key) for key in keys]
        except (AttributeError, TypeError, UnicodeEncodeError):
            raise InvalidInput(_NO_TEXT) from None

    def split(self, keys: Iterable[str]) -> list["Part"]:
        """Distinct keys by shard. Raises InvalidInput before the first is used."""
        if isinstance(keys, str):
            raise InvalidInput("several keys are a list of texts, not one text")
        names = _distinct(keys)
        if len(self.shards) == 1:
            return [Part(self.shards[0], names, self._digests(names))] if names else []
        parts: dict[Shard, Part] = {}
        for name in names:
            shard, digest = self.place(name)
            part = parts.get(shard) or parts.setdefault(shard, Part(shard, [], []))
            part.keys.append(name)
            part.digests.append(digest)
        return list(parts.values())


def _distinct(keys: Iterable[str]) -> list[str]:
    try:
        return list(dict.fromkeys(keys))
    except TypeError:
        raise InvalidInput(_NO_TEXT) from None


class Part(NamedTuple):
    """Keys of one shard, with their digests in the same order."""

    shard: Shard
    keys: list[str]
    digests: list[str]


@lru_cache(maxsize=8192)
def _digest(salt: bytes, key: str) -> str:
    """Kept for the keys in use: hashing one costs eight times as much as finding it here."""
    return blake2b(salt + key.encode(), digest_size=16).hexdigest()


def tag_id(tag: str) -> bytes:
    """Eight bytes that stand for a tag. Two tags that shared them would be invalidated together, no worse."""
    try:
        return blake2b(tag.encode(), digest_size=_TAG_ID_BYTES).digest()
    except (AttributeError, UnicodeEncodeError):
        raise InvalidInput(f"a tag is text that UTF-8 can hold, not {tag!r:.80}") from None
