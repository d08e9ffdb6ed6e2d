"""What a URL and the settings say of a server."""

from typing import Any

import pytest
import redis
from redis.backoff import ExponentialWithJitterBackoff

import riptide
from riptide.config import RedisSettings, RedisUrl, Settings
from riptide.errors import ConfigError
from riptide.reads.assembly import assemble
from riptide.store import connect
from riptide.store.pool import Again


def settings(url: str, **given: Any) -> RedisSettings:
    return RedisSettings(url=RedisUrl(url), **given)


@pytest.mark.parametrize(
    ("url", "nodes", "options"),
    [
        ("redis+cluster://a:1,b", (("a", 1), ("b", 6379)), {}),
        ("redis+cluster://u:p%40%2F@a", (("a", 6379),), {"username": "u", "password": "p@/"}),
        ("redis+cluster://:p@[::1]:7", (("::1", 7),), {"password": "p"}),
        ("rediss+cluster://a", (("a", 6379),), {"ssl": True}),
        ("redis+cluster://a?db=0&client_name=shop", (("a", 6379),), {"client_name": "shop"}),
    ],
)
def test_clusters(url: str, nodes: tuple[tuple[str, int], ...], options: dict[str, Any]) -> None:
    target = connect.parse_url(settings(url))
    assert (target.shape, target.nodes, dict(target.options)) == ("cluster", nodes, options)


def test_cluster_mode_makes_a_seed_of_a_standalone_url() -> None:
    target = connect.parse_url(settings("rediss://:p@a:1/0", cluster_mode=True))
    assert (target.shape, target.nodes) == ("cluster", (("a", 1),))
    assert dict(target.options) == {"password": "p", "ssl": True}


def test_a_cluster_has_one_database() -> None:
    with pytest.raises(ConfigError, match="a cluster has database 0 alone"):
        connect.parse_url(settings("redis://a/1", cluster_mode=True))


def test_options_of_a_sentinel_url() -> None:
    target = connect.parse_url(settings("redis+sentinel://a/m?db=2&password=p%40"))
    assert dict(target.options) == {"db": 2, "password": "p@"}


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@h?foo=1", "http://hunter2", "redis://h?max_connections=1", 5]
)
@pytest.mark.parametrize("face", [riptide.connect, assemble])
def test_a_wrong_url_in_code_is_a_configuration_error(url: Any, face: Any) -> None:
    with pytest.raises(ConfigError, match=r"the url given to connect .* is not valid: .*; write") as caught:
        face(url, Settings())
    assert "hunter2" not in str(caught.value)


def test_sentinels() -> None:
    target = connect.parse_url(settings("redis+sentinel://u:p@a,b:1/mymaster/3"))
    assert (target.shape, target.service, target.nodes) == ("sentinel", "mymaster", (("a", 26379), ("b", 1)))
    assert dict(target.options) == {"username": "u", "password": "p", "db": 3}


@pytest.mark.parametrize(
    "given", [{"tls_ca_certs": "ca.pem"}, {"tls_certfile": "c.pem"}, {"tls_keyfile": "k.pem"}]
)
@pytest.mark.parametrize("make", [connect.sync_pool, connect.async_pool])
def test_files_of_tls_without_tls_are_an_error(make: Any, given: dict[str, str]) -> None:
    chosen = settings("redis://a", **given)
    with pytest.raises(ConfigError, match=rf"redis\.{next(iter(given))} needs a URL with TLS"):
        make(chosen, connect.parse_url(chosen))


def test_pauses_double_with_jitter_up_to_a_cap() -> None:
    again = connect.again(settings("redis://a", retry_attempts=100, retry_delay_ms=100))
    error = redis.ConnectionError()
    for failures in range(1, 8):
        pauses = [again.pause(failures, error) for _ in range(50)]
        assert all(0 <= pause <= min(2.0, 0.1 * 2**failures) for pause in pauses)
        assert len(set(pauses)) > 1


def test_tries_end() -> None:
    again = Again(2, ExponentialWithJitterBackoff())
    again.pause(2, redis.ConnectionError())
    with pytest.raises(redis.ConnectionError, match="the last"):
        again.pause(3, redis.ConnectionError("the last"))
    with pytest.raises(redis.AuthenticationError):
        again.pause(1, redis.AuthenticationError())
