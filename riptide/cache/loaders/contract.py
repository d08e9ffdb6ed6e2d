"""What a loader is asked and what it answers."""

from dataclasses import dataclass
from typing import Any, Protocol

from riptide.errors import LoaderError


class LoaderUnavailable(LoaderError):
    """The origin could not answer now (outage, timeout, overload); a later try may succeed."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """One value that is wanted. `tenant` and `namespace` are checked, `key` is whatever a caller sent."""

    tenant: str
    namespace: str
    key: str
    #: Narrows `cache.loader_allowed_hosts` for this tenant, in the same form; None leaves it as it is.
    allowed_hosts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A value and what is known of it. `value` is bytes, or anything that JSON can hold."""

    value: Any
    content_type: str | None = None
    #: Seconds to live; None takes the caller's, then the configured one.
    ttl: int | None = None
    tags: tuple[str, ...] = ()
    #: Where it came from, fit to be shown: no password and no query.
    source: str | None = None


class Loader(Protocol):
    async def load(self, request: LoadRequest) -> Loaded:
        """Fetch one value.

        Raises LoaderNotFound if there is none, LoaderRefused if it must not be fetched, LoaderUnavailable if
        a later try may succeed, any other LoaderError if no try will.
        """
        ...
