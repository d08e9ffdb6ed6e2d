"""Hosts that may be fetched from: `host`, `*.suffix`, `[v6::address]`, each with an optional `:port`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Self

import httpx

from riptide.errors import InvalidInput

# Letters, digits, '-' and '_' between dots. Percent signs, spaces and the like never reach the resolver.
_LABEL = r"[a-z0-9_][a-z0-9_-]{0,62}"
_NAME = re.compile(rf"(?=.{{1,253}}\.?\Z){_LABEL}(\.{_LABEL})*\.?", re.ASCII)
_FORM = "write host, *.example.org or [2001:db8::1], each with :port or, for all ports, without"


@dataclass(frozen=True, slots=True)
class _Entry:
    host: str  # for a wildcard, the suffix with its dot
    wildcard: bool
    port: int | None

    def matches(self, host: str, port: int) -> bool:
        if self.port not in {None, port}:
            return False
        return host.endswith(self.host) and host != self.host if self.wildcard else host == self.host


@dataclass(frozen=True, slots=True)
class HostList:
    """An allowlist. An empty one allows nothing."""

    entries: tuple[_Entry, ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Raise InvalidInput, naming the entry, if one has not the form above."""
        return cls(tuple(_entry(text) for text in entries))

    def __bool__(self) -> bool:
        return bool(self.entries)

    def allows(self, host: str, port: int) -> bool:
        """`host` as `host_of` gives it."""
        return any(entry.matches(host, port) for entry in self.entries)

    def names(self, host: str, port: int) -> bool:
        """Whether an entry names this very host, so that its address may be private."""
        return any(not entry.wildcard and entry.matches(host, port) for entry in self.entries)


@lru_cache(maxsize=1024)
def narrowed(entries: tuple[str, ...]) -> HostList:
    """`HostList.parse`, remembered: a tenant's list is asked for with every load."""
    return HostList.parse(entries)


def host_of(url: httpx.URL) -> str | None:
    """The host as it is compared and resolved: lower case, punycode, no final dot; None if it is invalid."""
    host = url.raw_host.decode("ascii").lower()
    if ":" in host:
        return _v6(host)
    return host.removesuffix(".") if _NAME.fullmatch(host) else None


def _v6(text: str) -> str | None:
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    # A zone ("%eth0") picks an interface of this machine: never a caller's choice.
    return None if address.scope_id else str(address)


def _entry(text: str) -> _Entry:
    wildcard = text.startswith("*.")
    try:
        # A URL's own parser, so that an entry is read exactly as a URL's host is.
        url = httpx.URL(f"//{text[2:] if wildcard else text}")
        host = host_of(url)
    except (httpx.InvalidURL, ValueError):
        host = None
    if host is None or url.userinfo or url.raw_path not in {b"", b"/"} or url.fragment or "?" in text:
        raise InvalidInput(f"{text!r} is not a host: {_FORM}")
    if url.port is not None and not 0 < url.port < 2**16:
        raise InvalidInput(f"{text!r} has no valid port: 1 to 65535")
    if wildcard and (":" in host or "." not in host or host.rpartition(".")[2].isdecimal()):
        # '*.org' would hand the list to whoever registers a name; an address has no subdomains.
        raise InvalidInput(f"{text!r} is too wide: {_FORM}")
    return _Entry(f".{host}" if wildcard else host, wildcard, url.port)
