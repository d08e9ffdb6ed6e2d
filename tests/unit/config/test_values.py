"""Wrong values: each names its source, says what is wrong, and what would be right."""

import pytest
from pydantic import ValidationError

from riptide.config import CacheSettings, RedisSettings, Settings, load
from riptide.config.catalog import catalog
from riptide.config.redis_url import mask_url

from .conftest import Refused, Write


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "redis: {pool_size: ten}",
            "redis.pool_size: 'ten' is not valid; write a whole number from 1 to 1000000000 (default 10)",
        ),
        ("redis: {pool_size: 0}", "redis.pool_size: '0' is not valid; write a whole number from 1"),
        ("redis: {pool_size: 1.5}", "redis.pool_size: '1.5' is not valid"),
        ("redis: {pool_size:}", "redis.pool_size: '' is not valid"),
        ("redis: {pool_size: [1]}", "redis.pool_size: the value (not shown) is not valid"),
        (
            "redis: {cluster_mode: maybe}",
            "redis.cluster_mode: 'maybe' is not valid; write true or false (default false)",
        ),
        (
            "cache: {compression_algorithm: gzip}",
            "'gzip' is not valid; write one of auto, none, lz4, zstd (default auto)",
        ),
        (
            "cache: {max_entry_size_bytes: 1GiB}",
            "'1GiB' is not valid; write a whole number of bytes, or like 20MiB, from 1 to 536870912",
        ),
        ("cache: {max_entry_size_bytes: 20mb}", "'20mb' is not valid: unknown unit; write B, KiB, MiB"),
        (
            "cache: {key_prefix: 'a:{b}'}",
            "'a:{b}' is not valid; write a text: What every key begins with: letters",
        ),
        ("cache: {key_prefix: 'shop:'}", "'shop:' is not valid"),
        (
            "cache: {warm_list: '[1'}",
            "'[1' is not valid: it begins like a JSON list but is none; write a list of texts",
        ),
        ("cache: {lease_seconds: .inf}", "'.inf' is not valid; write a number above 0"),
        ("cache: {lease_seconds: nan}", "'nan' is not valid; write a number above 0"),
        ("cache: {lease_seconds: 0}", "'0' is not valid; write a number above 0"),
        (
            "workers: {modules: [a, {b: c}]}",
            "workers.modules.1: the value (not shown) is not valid; write a list of texts",
        ),
        (
            "tenant: {outage_policy: {ops: open}}",
            "tenant.outage_policy.ops is unknown; write 'memory_bytes', 'storage_bytes', ",
        ),
        (
            "workers: {handler_timeouts: {warm: -1}}",
            "workers.handler_timeouts.warm: '-1' is not valid; write a number above 0",
        ),
        (
            "workers: {handler_timeouts: 3}",
            "workers.handler_timeouts: '3' is not valid; write a mapping, as in {name: value}",
        ),
        ("redis: {pool_size: '${A:-x}'}", "redis.pool_size: '${A:-x}' is not valid"),
        ("cache: {version: " + "x" * 65 + "}", "'" + "x" * 60 + "…' is not valid"),
    ],
)
def test_a_wrong_value_in_the_file(refused: Refused, text: str, error: str) -> None:
    message = refused(text)
    assert message.startswith("the configuration has one error:\n  persistence.yml:1: ")
    assert error in message


def test_the_line_is_that_of_the_value_inside_a_list_or_mapping(refused: Refused) -> None:
    message = refused(
        "workers:\n  handler_timeouts:\n    warm: 3\n    spill: soon\n  modules:\n    - a\n    - {b: c}\n"
    )
    assert "persistence.yml:4: workers.handler_timeouts.spill: 'soon'" in message
    assert "persistence.yml:7: workers.modules.1: " in message


def test_a_wrong_value_in_a_variable(refused: Refused) -> None:
    assert refused(REDIS_RETRY_ATTEMPTS="many") == (
        "the configuration has one error:\n"
        "  env REDIS_RETRY_ATTEMPTS: redis.retry_attempts: 'many' is not valid; "
        "write a whole number from 0 to 100 (default 3)"
    )


def test_all_errors_are_told_at_once(refused: Refused) -> None:
    message = refused("redis: {pool_size: x, url: '${NO}'}\nwrong: 1\n", LOG_LEVEL="loud", LOG_FORMAT="xml")
    assert message.startswith("the configuration has 5 errors:\n")
    assert len(message.splitlines()) == 6


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "redis:\n  tls_certfile: c.pem\n",
            ":2: a client certificate needs both redis.tls_certfile and redis.tls_keyfile",
        ),
        (
            "workers:\n  retry_cap_seconds: 2\n  retry_base_seconds: 3\n",
            ":2, persistence.yml:3: workers.retry_cap_seconds must",
        ),
        (
            "workers:\n  lease_seconds: 1.5\n",
            ":2: workers.lease_seconds must be at least two distributed.heartbeat",
        ),
    ],
)
def test_settings_that_do_not_go_together(refused: Refused, text: str, error: str) -> None:
    assert f"persistence.yml{error}" in refused(text)


def test_rules_hold_in_code_too() -> None:
    with pytest.raises(ValidationError, match=r"two distributed\.heartbeat"):
        Settings.model_validate({"workers": {"lease_seconds": 0.1}})


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.1:80", ""])
def test_proxies_that_would_be_believed_from_everybody_or_nobody(refused: Refused, proxy: str) -> None:
    message = refused(f"api: {{trusted_proxies: ['10.0.0.0/8', '::1', '{proxy}']}}")
    assert "api.trusted_proxies" in message
    assert "is no address or network" in message


@pytest.mark.parametrize(
    "url",
    [
        "redis://h", "redis://h:1/0", "rediss://u:p@h:1/15", "unix:///run/redis.sock?db=1", "redis://[::1]:6379",
        "redis://h?db=3&client_name=shop", "unix:///s?username=u&password=p%40", "redis+cluster://a:1/0?db=0",
        "redis+cluster://a:1,b:2", "rediss+cluster://u:p@a,b", "redis+sentinel://a:1,b:2/mymaster", "redis+sentinel://a/m/3",
    ],
)  # fmt: skip
def test_urls_that_are_right(url: str) -> None:
    assert RedisSettings.model_validate({"url": url}).url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h", "its scheme is not supported"),
        ("localhost:6379", "its scheme is not supported"),
        ("redis://", "a host is missing"),
        ("redis://:6379/0", "a host is missing"),
        ("redis://h:99999", "a port is not a number from 1 to 65535"),
        ("redis://h:0", "a port is not"),
        ("redis://h:x", "a port is not"),
        ("redis://[::1", "it is not a URL"),
        ("redis://a,b", "several hosts need redis+cluster:// or redis+sentinel://"),
        ("redis://h/zero", "its database is not a number"),
        ("redis+sentinel://h:1", "it does not end with the Sentinel service's name"),
        ("unix://", "it names no socket"),
    ],
)
def test_urls_that_are_wrong(refused: Refused, url: str, why: str) -> None:
    message = refused(REDIS_URL=url)
    assert f"env REDIS_URL: redis.url: the value (not shown) is not valid: {why}" in message
    assert "; write redis://127.0.0.1:6379/0, rediss:// for TLS" in message


WRONG_OPTIONS = [
    ("redis://h/?foo=1", "there is no option 'foo'; the options are db, client_name, username, password"),
    ("redis://h?decode_responses=true", "there is no option 'decode_responses'"),
    ("redis://h?protocol=3&db=1", "there is no option 'protocol'"),
    ("redis://h?max_connections=5", "'max_connections' is not taken from a URL: set redis.pool_size"),
    ("redis+cluster://h?socket_timeout=abc", "is not taken from a URL: set redis.command_timeout_ms"),
    ("redis+sentinel://h/m?timeout=1", "is not taken from a URL: set redis.command_timeout_ms"),
    ("rediss://h?ssl_cert_reqs=none", "is not taken from a URL: set redis.tls_verify"),
    ("redis://h?db=x", "the option 'db' has no valid value"),
    ("redis://h?db=", "the option 'db' has no valid value"),
    ("redis://h?client_name=a%20b", "the option 'client_name' has no valid value"),
    ("redis://h?db=1&db=2", "the option 'db' stands there twice"),
    ("redis://h?hunter%202", "what follows the '?' is not of the form name=value"),
    ("redis://u:1?hunter2=x@h", "is written as %23, %3F, %2F or %40"),
    ("redis://u:1#hunter2@h", "is written as %23, %3F, %2F or %40"),
    ("redis+cluster://h/1", "a cluster has database 0 alone"),
    ("redis+cluster://h?db=1", "a cluster has database 0 alone"),
]


@pytest.mark.parametrize(("url", "why"), WRONG_OPTIONS)
def test_options_of_urls(refused: Refused, url: str, why: str) -> None:
    """An error names the option, where it stands and what would be right, but no part of a password."""
    message = refused(REDIS_URL=url)
    assert "env REDIS_URL: redis.url: the value (not shown) is not valid: " in message
    assert why in message
    assert "; write redis://127.0.0.1:6379/0, rediss:// for TLS" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://u:pw@h/0", "redis://u:***@h/0"),
        ("redis://:pw@h/0", "redis://:***@h/0"),
        ("redis://u@h/0", "redis://u@h/0"),
        ("redis://u:p@w/x?y#z@h/0", "redis://u:***@h/0"),
        ("redis+sentinel://u:pw@a:1,b:2/m", "redis+sentinel://u:***@a:1,b:2/m"),
        ("redis://h/0?password=pw&db=1", "redis://h/0?password=***&db=1"),
        ("unix:///s.sock?sentinel_Password=pw", "unix:///s.sock?sentinel_Password=***"),
    ],
)
def test_urls_are_shown_without_passwords(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("5B", 5), ("2 KiB", 2048), ("3kB", 3000), ("1 MB", 10**6), (7, 7)]
)
def test_sizes(text: str | int, value: int) -> None:
    assert CacheSettings.model_validate({"max_entry_size_bytes": text}).max_entry_size_bytes == value


def test_the_loader_takes_what_an_entry_may_hold(write: Write) -> None:
    assert load(write("cache: {max_entry_size_bytes: 1MiB}"), {}).settings.cache.loader_max_bytes == 1024**2


def test_every_setting_has_a_meaning_and_is_frozen() -> None:
    settings = Settings()
    for setting in catalog().values():
        assert setting.meaning.endswith("."), setting.path
        assert setting.expected(), setting.path
    with pytest.raises(ValidationError):
        settings.redis.pool_size = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        RedisSettings.model_validate({"poolsize": 3})
