"""Which keys are a tenant's. Pure.

By its id alone that cannot be told: a tenant may be called like a partition or like the prefix, and its id
may be the beginning of another one.
"""

import re

#: The first words of keys whose hash tag is a tenant, or a shard of one.
FAMILIES = (
    "registry",
    "audit",
    "invoice",
    "keyring",
    "apikey",
    "quota",
    "account",
    "tenant",
    "tag",
    "lease",
    "session",
    "restoring",
)


class Names:
    """The keys of one tenant under one prefix, as SCAN brings them."""

    def __init__(self, prefix: str, tenant: str) -> None:
        start, name = re.escape(prefix), re.escape(tenant)
        words, tag = "|".join(FAMILIES), rf"{name}(?:\.[0-9]+)?"
        self._own = re.compile(rf"{start}:(?:{words}):\{{({tag})\}}(?::.*)?", re.DOTALL)
        self._usage = re.compile(rf"{start}:(?:usage|access):\{{([0-9]+)\}}:{name}:.*", re.DOTALL)
        #: For MATCH: it finds them all, and others too.
        self.pattern = f"{prefix}:*{tenant}*"

    def tag(self, name: str) -> str | None:
        """The tag of a key that lives in a slot of the tenant's own."""
        found = self._own.fullmatch(name)
        return found and found[1]

    def partition(self, name: str) -> str | None:
        """The partition in which a key holds usage of the tenant, or what was reported of its entries."""
        found = self._usage.fullmatch(name)
        return found and found[1]


def kind_in(prefix: str, name: str) -> str | None:
    """The type of command whose stream a key is."""
    found = re.fullmatch(rf"{re.escape(prefix)}:commands:([a-z][a-z0-9_]*)(?::slow)?:\{{[0-9]+\}}", name)
    return found and found[1]


def streams_pattern(prefix: str) -> str:
    """For MATCH: the streams of commands."""
    return f"{prefix}:commands:*"
