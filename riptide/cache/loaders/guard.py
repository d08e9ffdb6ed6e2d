"""Which addresses may be connected to. What was checked is connected to: no second look-up lies between."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore

from riptide.cache.loaders.allowlist import HostList
from riptide.cache.loaders.contract import LoaderUnavailable
from riptide.errors import LoaderRefused

Address = IPv4Address | IPv6Address
#: Host and port to the addresses that the name has, as text. Raises OSError or UnicodeError if it has none.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_MOST_ADDRESSES = 4
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Where Python's tables are silent, kind or differ between releases. Teredo, 6to4 and NAT64 lead into IPv4.
_ALSO_RESERVED = tuple(
    ip_network(net)
    for net in (
        *("0.0.0.0/8", "192.0.0.0/24", "192.88.99.0/24"),
        *("64:ff9b:1::/48", "2001::/23", "2002::/16", "3fff::/20"),
    )
)
# No service lives there: naming a host does not open these.
_NEVER = {"unspecified", "multicast", "reserved"}


def why_not_public(address: Address) -> str | None:
    """The kind of an address that is not public, such as "loopback" or "private"; None for a public one."""
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address in _NAT64):
        return _kind(IPv4Address(int(address) & 0xFFFFFFFF))  # where the packets end
    return _kind(address)


def _kind(address: Address) -> str | None:
    for kind in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(address, f"is_{kind}"):
            return kind.replace("_", "-")
    if any(address in net for net in _ALSO_RESERVED):
        return "reserved"
    if isinstance(address, IPv6Address):
        if address.is_private or address.is_site_local:
            return "private"
        return None if address in _GLOBAL_UNICAST else "reserved"
    if address.is_reserved:
        return "reserved"
    return None if address.is_global else "private"  # among them 100.64.0.0/10, behind a carrier's NAT


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system, which also reads the odd spellings of addresses: `2130706433`, `0x7f.1`, `0177.1`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Guard:
    """Resolves a host and lets through only addresses that may be connected to."""

    def __init__(self, hosts: Callable[[], HostList], resolver: Resolver = resolve) -> None:
        self._hosts = hosts
        self._resolver = resolver

    async def addresses(self, host: str, port: int) -> list[str]:
        """Addresses to try, in order. One bad answer refuses all: LoaderRefused; none: LoaderUnavailable."""
        try:
            answers = await self._resolver(host, port)
            found = list(dict.fromkeys(ip_address(answer) for answer in answers))
        except (OSError, UnicodeError) as error:
            raise LoaderUnavailable(f"the name of host {host} was not resolved: {error}") from error
        except ValueError as error:
            raise LoaderRefused(f"host {host} has an address that cannot be read") from error
        if not found:
            raise LoaderUnavailable(f"host {host} has no address")
        named = self._hosts().names(host, port)
        for address in found:
            kind = why_not_public(address)
            if kind in _NEVER or (kind and not named):
                raise LoaderRefused(_refusal(host, address, kind))
        return [str(address) for address in found[:_MOST_ADDRESSES]]


def _refusal(host: str, address: Address, kind: str) -> str:
    text = f"host {host} has the {kind} address {address}"
    if kind in _NEVER:
        return text
    return f"{text}; name the host, without *, in cache.loader_allowed_hosts if it is meant"


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens a connection to an address that the guard has just checked. TLS and Host still go by the name."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._guard.addresses(host, port)
        # A dead first address must leave time for the others.
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, share, local_address, socket_options)
