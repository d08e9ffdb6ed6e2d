"""One way to a server, whatever its shape: standalone, Sentinel or Cluster, plain or TLS, TCP or unix socket.

URLs: `redis://`, `rediss://` (TLS), `unix://`; `redis+sentinel://h1:26379,h2:26379/<service>`
(`rediss+sentinel://` for TLS), and `redis+cluster://h1:6379,h2:6379` (or any standalone URL with
`redis.cluster_mode`). Options in a URL are `db`, `client_name`, `username` and `password`; the others are
settings.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import redis.asyncio
from redis.asyncio import sentinel as async_sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from riptide.config import RedisSettings
from riptide.config.redis_url import options_of
from riptide.errors import ConfigError
from riptide.store.pool import Again, AsyncConnections, Connections

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_BACKOFF_CAP_SECONDS = 2.0
_READ_BYTES = 128 * 1024  # a batch of a hundred entries of 1 KiB comes in one read


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points. `url` is what redis-py understands; `nodes` are Sentinels or cluster seeds."""

    shape: str  # "standalone", "sentinel" or "cluster"
    url: str
    nodes: tuple[tuple[str, int], ...] = ()
    service: str = ""
    options: tuple[tuple[str, Any], ...] = ()


def parse_url(settings: RedisSettings) -> Target:
    """Read `redis.url`; raise ConfigError, without repeating the URL, if it cannot be used."""
    url = settings.url.get_secret_value()
    parts = urlsplit(url)
    scheme, _, shape = parts.scheme.partition("+")
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"redis.url: the scheme must be one of {', '.join(SCHEMES)}, not {parts.scheme!r}")
    if not shape and not settings.cluster_mode:
        return Target("standalone", url)
    options = _options(parts) | ({"ssl": True} if scheme == "rediss" else {})
    nodes = _nodes(parts.netloc.rpartition("@")[2], 26379 if shape == "sentinel" else 6379)
    if shape == "sentinel":
        service, _, db = parts.path.strip("/").partition("/")
        if not service:
            raise ConfigError(
                "redis.url: a Sentinel URL ends with the service's name, as in redis+sentinel://host:26379/mymaster"
            )
        if db:
            options["db"] = int(db)
        return Target("sentinel", "", nodes, service, tuple(options.items()))
    if int(parts.path.strip("/") or 0) or options.pop("db", 0):
        raise ConfigError("redis.url: a cluster has database 0 alone")
    return Target("cluster", "", nodes, "", tuple(options.items()))


def _options(parts: SplitResult) -> dict[str, Any]:
    options: dict[str, Any] = {**options_of(parts)}
    if "db" in options:
        options["db"] = int(options["db"])
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    return options


def _nodes(netloc: str, default_port: int) -> tuple[tuple[str, int], ...]:
    found = []
    for part in netloc.split(","):
        host = urlsplit("//" + part)
        if not host.hostname:
            raise ConfigError("redis.url: it names no host")
        found.append((host.hostname, host.port or default_port))
    return tuple(found)


def _common(settings: RedisSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_read_size": _READ_BYTES,
        "socket_connect_timeout": settings.connection_timeout_ms / 1000,
        "socket_timeout": settings.command_timeout_ms / 1000,
    }
    if settings.username:
        options["username"] = settings.username
    if settings.password:
        options["password"] = settings.password.get_secret_value()
    tls = settings.url.get_secret_value().startswith("rediss")
    if tls and not settings.tls_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    for name, value in (
        ("ssl_ca_certs", settings.tls_ca_certs),
        ("ssl_certfile", settings.tls_certfile),
        ("ssl_keyfile", settings.tls_keyfile),
    ):
        if value and not tls:
            raise ConfigError(f"redis.{name.replace('ssl', 'tls')} needs a URL with TLS, as in rediss://")
        if value:
            options[name] = value
    return options


def _backoff(settings: RedisSettings) -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=settings.retry_delay_ms / 1000, cap=_BACKOFF_CAP_SECONDS)


def again(settings: RedisSettings) -> Again:
    return Again(settings.retry_attempts, _backoff(settings))


def sync_pool(settings: RedisSettings, target: Target) -> Connections:
    """Connections to a standalone server or a Sentinel service."""
    # A caller that finds all of them busy waits as long as a command may take, then hears it.
    patience = settings.command_timeout_ms / 1000
    options = _common(settings) | {
        "retry": Retry(NoBackoff(), 0)
    }  # the transport tries again, not the connection
    if target.shape == "standalone":
        factory = redis.ConnectionPool.from_url(target.url, **options)
        return Connections(factory.make_connection, settings.pool_size, patience)
    options |= dict(target.options)
    sentinels = redis.Sentinel(target.nodes, sentinel_kwargs=_to_sentinels(options))
    factory = redis.SentinelConnectionPool(target.service, sentinels, **options)
    return Connections(factory.make_connection, settings.pool_size, patience, sentinels.sentinels)


def async_pool(settings: RedisSettings, target: Target) -> AsyncConnections:
    patience = settings.command_timeout_ms / 1000
    options = _common(settings) | {"retry": AsyncRetry(NoBackoff(), 0)}
    if target.shape == "standalone":
        factory = redis.asyncio.ConnectionPool.from_url(target.url, **options)
        return AsyncConnections(partial(_untimed, factory), settings.pool_size, patience)
    options |= dict(target.options)
    sentinels = async_sentinel.Sentinel(target.nodes, sentinel_kwargs=_to_sentinels(options))
    factory = async_sentinel.SentinelConnectionPool(target.service, sentinels, **options)
    return AsyncConnections(partial(_untimed, factory), settings.pool_size, patience, sentinels.sentinels)


def _untimed(factory: redis.asyncio.ConnectionPool) -> Any:
    connection = factory.make_connection()
    connection.socket_timeout = None  # whoever uses it bounds the whole exchange
    return connection


def sync_cluster(settings: RedisSettings, target: Target, *, whole: bool = True) -> redis.RedisCluster:
    """Refused while slots are served by nobody, unless it need not be `whole`."""
    nodes = [redis.cluster.ClusterNode(host, port) for host, port in target.nodes]
    options = _common(settings) | dict(target.options)
    options["retry"] = Retry(_backoff(settings), settings.retry_attempts)
    options["require_full_coverage"] = whole
    return redis.RedisCluster(startup_nodes=nodes, max_connections=2**31, **options)


def async_cluster(settings: RedisSettings, target: Target) -> redis.asyncio.RedisCluster:
    nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in target.nodes]
    options = _common(settings) | dict(target.options)
    options["retry"] = AsyncRetry(_backoff(settings), settings.retry_attempts)
    return redis.asyncio.RedisCluster(startup_nodes=nodes, max_connections=2**31, **options)


def _to_sentinels(options: dict[str, Any]) -> dict[str, Any]:
    kept = {"socket_connect_timeout", "socket_timeout", "retry"}
    return {name: value for name, value in options.items() if name in kept or name.startswith("ssl")}
