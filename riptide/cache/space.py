"""Where the entries of a namespace are: its shards, their keys, and which shard holds which key."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from riptide.cache.access.tally import Tally
from riptide.cache.accounts.caps import Caps
from riptide.cache.popularity.demand import Demand
from riptide.errors import InvalidInput
from riptide.names import check_key, check_namespace, check_tag
from riptide.store.keys import Keys
from riptide.tenants.accounts.account import Account
from riptide.tenants.facts import Facts

_TAG_ID_BYTES = 8
_MOST_DIGESTS = 8192


class Digests(dict[str, tuple[str, int]]):
    """What stands for a key in the names on the server: 128 bits of BLAKE2b over `cache.version` and the key,
    hex; and a number that picks its shard.

    Those in use are kept, because hashing costs thirty times as much as finding. Raises InvalidInput for what
    is no key.
    """

    def __init__(self, version: str) -> None:
        super().__init__()
        self._salt = version.encode() + b"\0"

    def __missing__(self, key: str) -> tuple[str, int]:
        hashed = blake2b(self._salt + check_key(key).encode(), digest_size=16).hexdigest()
        if len(self) >= _MOST_DIGESTS:
            self.clear()
        self[key] = found = (hashed, number_of(hashed))
        return found


def number_of(digest: str) -> int:
    """What picks the shard."""
    return int(digest[:8], 16)


class Shard:
    """The keys of one namespace in one slot. `seen_epoch` is what the server last told: a hint, no more."""

    __slots__ = (
        "_keys",
        "_tag",
        "account",
        "epoch",
        "generation",
        "namespace",
        "namespaces",
        "prefix",
        "seen_epoch",
        "space",
    )

    def __init__(self, keys: Keys, tag: str, space: "Space") -> None:
        self._keys, self._tag, self.space = keys, tag, space
        self.namespace = space.name
        self.account = Account(keys, tag)
        self.prefix = keys.namespace(tag, space.name)
        self.epoch = keys.epoch(tag, space.name)
        self.namespaces = keys.namespaces(tag)
        self.generation = keys.tag_generation(tag)
        self.seen_epoch: bytes | None = None

    @property
    def incarnation(self) -> str:
        return self.space.facts.incarnation

    def member(self, digest: str) -> str:
        """What stands for an entry in the account's index."""
        return f"{self.namespace}:{digest}"

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


class Space:
    """One namespace of one tenant. Raises InvalidInput before any key is built from a bad name."""

    __slots__ = ("_digests", "caps", "demand", "facts", "name", "shards", "tally")

    def __init__(
        self,
        keys: Keys,
        digests: Digests,
        facts: Facts,
        namespace: str,
        caps: Caps,
        tally: Tally,
        demand: Demand | None = None,
    ) -> None:
        """`demand` counts which keys are read; None: nobody wants to know."""
        self.facts, self.name, self.tally, self.demand = facts, check_namespace(namespace), tally, demand
        self.shards = [Shard(keys, tag, self) for tag in facts.tags]
        self.caps = caps.arguments(len(self.shards))
        self._digests = digests

    @property
    def tenant(self) -> str:
        """Whose keys they are."""
        return self.facts.tenant

    def place(self, key: str) -> tuple[Shard, str]:
        """The shard that holds `key`, and the digest that stands for it. Raises InvalidInput."""
        try:
            digest, number = self._digests[key]
        except TypeError:  # it cannot be looked up
            check_key(key)
            raise
        shards = self.shards
        return shards[number % len(shards)], digest

    def shard_of(self, digest: str) -> Shard:
        """The shard that holds what `digest` stands for."""
        return self.shards[number_of(digest) % len(self.shards)]

    def split(self, keys: Iterable[str]) -> list["Part"]:
        """Distinct keys by shard. Raises InvalidInput before the first is used."""
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise InvalidInput("several keys are a list of texts, not one text")
        given = list(keys)
        try:
            return self._parts(given)
        except TypeError:  # one cannot be looked up
            for key in given:
                check_key(key)
            raise

    def _parts(self, keys: list[str]) -> list["Part"]:
        digests = self._digests
        found: list[dict[str, str]]
        if len(self.shards) == 1:
            found = [{key: digests[key][0] for key in keys}]
        else:
            found = [{} for _ in self.shards]
            count = len(found)
            for key in keys:
                digest, number = digests[key]
                found[number % count][key] = digest
        return [Part(shard, own) for shard, own in zip(self.shards, found, strict=True) if own]


class Part(NamedTuple):
    """Keys of one shard, and what stands for them."""

    shard: Shard
    digests: dict[str, str]


def tag_id(tag: str) -> bytes:
    """Eight bytes that stand for a tag. Two tags that shared them would be invalidated together, no worse.

    Raises InvalidInput.
    """
    return blake2b(check_tag(tag).encode(), digest_size=_TAG_ID_BYTES).digest()
