"""What a URL must be before its host is even resolved."""

from dataclasses import dataclass

import httpx

from riptide.cache.loaders.allowlist import HostList, host_of, narrowed
from riptide.cache.loaders.contract import LoadRequest
from riptide.errors import InvalidInput, LoaderError, LoaderRefused

_PORTS = {"http": 80, "https": 443}
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed: http(s), no login, a host of the allowlist, in the form that is resolved."""

    url: httpx.URL
    host: str
    port: int


def parse_url(key: str) -> httpx.URL:
    """Raise LoaderRefused, without repeating the key, if it is no URL."""
    try:
        return httpx.URL(key)
    except (httpx.InvalidURL, ValueError):
        # The parser's own message may repeat a piece of a password.
        raise LoaderRefused("the key is no URL, and the http loader knows values by their URL") from None


def follow(url: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads; it must be admitted like any other."""
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError):
        raise LoaderError("the origin redirects to something that is no URL") from None
    if url.scheme == "https" and target.scheme == "http":
        raise LoaderRefused("the origin redirects from https to http")
    return target


def admit(url: httpx.URL, hosts: HostList, request: LoadRequest) -> Target:
    """Raise LoaderRefused, naming the setting, unless this tenant may fetch from the URL's host."""
    if not hosts:
        raise LoaderRefused(
            "the http loader fetches from no host until cache.loader_allowed_hosts "
            "(CACHE_LOADER_ALLOWED_HOSTS) names some"
        )
    if url.scheme not in _PORTS:
        raise LoaderRefused("only http and https URLs are fetched")
    if url.userinfo:
        raise LoaderRefused("a URL with a user name or a password is not fetched")
    host, port = host_of(url), _PORTS[url.scheme] if url.port is None else url.port
    if host is None or not 0 < port < 2**16:
        raise LoaderRefused("the URL's host or port is not valid")
    if not hosts.allows(host, port):
        raise LoaderRefused(
            f"{host}:{port} is not in cache.loader_allowed_hosts (CACHE_LOADER_ALLOWED_HOSTS)"
        )
    if request.allowed_hosts is not None and not _narrow(request.allowed_hosts).allows(host, port):
        raise LoaderRefused(f"{host}:{port} is not among the hosts that tenant {request.tenant} may use")
    return Target(url, host, port)


def shown(key: httpx.URL | str) -> str:
    """A key as it may stand in errors and logs: cut if long, and of a URL no login, query or fragment."""
    try:
        url = httpx.URL(key)
    except (httpx.InvalidURL, ValueError):
        return "a key that is no URL"
    text = str(url.copy_with(userinfo=b"", query=None, fragment=None))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _narrow(entries: tuple[str, ...]) -> HostList:
    try:
        return narrowed(entries)
    except InvalidInput as error:
        raise LoaderRefused(f"the tenant's list of hosts cannot be read: {error}") from error
