"""The loader `http`: the key is the URL. What it may fetch is decided by the allowlist and the guard."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import httpcore
import httpx

from riptide.cache.loaders.allowlist import HostList, narrowed
from riptide.cache.loaders.body import read_body, too_large
from riptide.cache.loaders.contract import Loaded, LoaderUnavailable, LoadRequest
from riptide.cache.loaders.guard import Guard, GuardedBackend, Resolver, resolve
from riptide.cache.loaders.target import Target, admit, follow, parse_url, shown
from riptide.config import CacheSettings
from riptide.errors import ConfigError, InvalidInput, LoaderError, LoaderNotFound

_REDIRECTS = {301, 302, 303, 307, 308}
_ABSENT = {404, 410}
_DOCUMENTS = {200, 203}  # 206 would be a part taken for the whole
_LATER = {408, 425, 429}  # the 4xx that ask to be tried again
_IDLE_CONNECTIONS = 20
_IDLE_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_LONGEST_REASON = 200
# OSError: an error of TLS in the middle of a body, which httpcore lets through.
_NETWORK_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError)


class HttpLoader:
    """Fetches URLs. Belongs to one event loop; its time is bounded by whoever calls it (`Loaders`).

    It speaks to httpx's engine and not to its client: cookies, proxies and logins from the environment,
    unbounded unpacking and unchecked redirects would have to be switched off there; here they do not exist.
    """

    def __init__(
        self,
        settings: CacheSettings,
        *,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Raise ConfigError if `cache.loader_allowed_hosts` holds something that is no host."""
        self._settings = settings
        try:
            self._hosts()
        except InvalidInput as error:
            raise ConfigError(f"cache.loader_allowed_hosts: {error}") from error
        self._per_host = settings.loader_connections_per_host
        self._slots: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=None,  # bounded per host, by the slots
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            # A pooled connection only serves the scheme, host and port that it was checked for.
            network_backend=GuardedBackend(Guard(self._hosts, resolver)),
        )

    def _hosts(self) -> HostList:
        """Those of now: the setting may change."""
        return narrowed(self._settings.loader_allowed_hosts)

    async def load(self, request: LoadRequest) -> Loaded:
        """Fetch `request.key`; the value is the body's bytes. Raises what `Loader` says, without secrets."""
        asked = url = parse_url(request.key)
        redirects = self._settings.loader_max_redirects
        try:
            for _ in range(redirects + 1):
                target = admit(url, self._hosts(), request)
                async with self._answer(target) as answer:
                    if answer.status not in _REDIRECTS:
                        return await self._read(answer, target)
                    location = _location(answer)
                url = follow(url, location)
            raise LoaderError(f"more than {redirects} redirects (cache.loader_max_redirects)")
        except LoaderError as error:
            way = shown(asked) if url is asked else f"{shown(asked)}, redirected to {shown(url)}"
            raise type(error)(f"{way}: {error}") from error

    async def aclose(self) -> None:
        await self._pool.aclose()

    @asynccontextmanager
    async def _answer(self, target: Target) -> AsyncIterator[httpcore.Response]:
        """Status and headers have arrived; the body is still to be read."""
        url = target.url
        slot = self._slots.setdefault(target.host, asyncio.Semaphore(self._per_host))
        async with slot:
            try:
                async with self._pool.stream(
                    "GET",
                    httpcore.URL(
                        scheme=url.raw_scheme, host=target.host, port=target.port, target=url.raw_path
                    ),
                    headers=_headers(url),
                    extensions={"timeout": {"connect": _CONNECT_SECONDS}},
                ) as answer:
                    yield answer
            except _NETWORK_ERRORS as error:
                raise LoaderUnavailable(_network_reason(error)) from error

    async def _read(self, answer: httpcore.Response, target: Target) -> Loaded:
        most = self._settings.loader_max_bytes
        _check_status(answer.status)
        headers = httpx.Headers(answer.headers)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise too_large(most)
        body = await read_body(answer.aiter_stream(), headers.get("content-encoding", ""), most)
        return Loaded(body, content_type=headers.get("content-type"), source=shown(target.url))


def _headers(url: httpx.URL) -> list[tuple[str, str]]:
    return [
        ("Host", url.netloc.decode("ascii")),
        ("User-Agent", "riptide-loader"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip"),
    ]


def _check_status(status: int) -> None:
    if status in _ABSENT:
        raise LoaderNotFound(f"the origin answered {status}")
    if status >= 500 or status in _LATER:
        raise LoaderUnavailable(f"the origin answered {status}")
    if status not in _DOCUMENTS:
        raise LoaderError(f"the origin answered {status}")


def _location(answer: httpcore.Response) -> str:
    location: str = httpx.Headers(answer.headers).get("location", "")
    if not location:
        raise LoaderError(f"the origin answered {answer.status} without a location")
    return location


def _network_reason(error: Exception) -> str:
    detail = str(error)[:_LONGEST_REASON]
    return f"the origin did not answer: {type(error).__name__}{', ' if detail else ''}{detail}"
