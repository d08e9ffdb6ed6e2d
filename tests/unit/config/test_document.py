"""A configuration to be shared: as it is written, without secrets, and the same for all who read it."""

import json
from pathlib import Path

import pytest

from riptide.config.catalog import catalog
from riptide.config.document import Document, differences, document_of, parse_document, resolve
from riptide.errors import ConfigError

FILE = """\
persistence:
  redis:
    url: redis://:hunter2@127.0.0.1:6379/0
    password: hunter2  # hunter2
    pool_size: 7
  cache:
    default_ttl_seconds: ${TTL:-60}
    warm_list: ["https://${HOST}/a", b]
    max_entry_size_bytes: 1MiB
  security: {encryption_key: hunter2}
  blobs: {s3_secret_access_key: "${AWS:-hunter2}"}
  workers: {handler_timeouts: {warm: "${WARM:-5}"}}
"""


def of(text: str) -> Document:
    return document_of(Path("x.yml"), text.encode())


def test_it_has_no_secret_and_nothing_is_put_in() -> None:
    document = of(FILE)
    assert "hunter2" not in document.text()
    assert dict(document.given) == {
        "redis.pool_size": "7",
        "cache.default_ttl_seconds": "${TTL:-60}",
        "cache.warm_list": ["https://${HOST}/a", "b"],
        "cache.max_entry_size_bytes": "1MiB",
        "workers.handler_timeouts": {"warm": "${WARM:-5}"},
    }
    secret = {path for path, setting in catalog().items() if setting.secret}
    assert secret == {
        "redis.url",
        "redis.password",
        "security.encryption_key",
        "blobs.s3_secret_access_key",
        "api.admin_key",
        "webhooks.secret",
    }


def test_each_process_puts_its_own_variables_in_and_its_environment_wins() -> None:
    document = parse_document(of(FILE).text())
    assert document == of(FILE)
    settings = resolve(document, "version 3", {"HOST": "h", "CACHE_MAX_ENTRY_SIZE_BYTES": "2MiB"})
    assert settings.cache.warm_list == ("https://h/a", "b")
    assert settings.cache.default_ttl_seconds == 60
    assert settings.cache.max_entry_size_bytes == 2 * 1024**2
    assert settings.workers.handler_timeouts == {"warm": 5.0}
    with pytest.raises(ConfigError, match=r"version 3: cache\.warm_list: the variable HOST is not set"):
        resolve(document, "version 3", {})


def test_it_is_the_same_whatever_surrounds_it() -> None:
    plain = of("cache:\n  default_ttl_seconds: 5\n  version: a\n")
    other = of("# a comment\npersistence: {cache: {version: 'a'}}\n")
    assert plain.digest == of("cache: {version: a, default_ttl_seconds: '5'} # so\n").digest
    assert plain.digest == of("cache_ttl: 5\ncache: {version: a}\n").digest, "an old name is the same setting"
    assert plain.digest != other.digest
    [apart] = differences(other, plain)
    assert (apart.path, apart.before, apart.after, apart.live) == (
        "cache.default_ttl_seconds",
        None,
        "5",
        True,
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no configuration"),
        ("[]", "no configuration"),
        ("{", "no configuration"),
        ("[" * 100_000, "no configuration"),
        ('{"settings": 5, "format": 1}', "no configuration"),
        ('{"settings": {}, "format": 2}', "a format that this release does not read"),
        (json.dumps({"format": 1, "settings": {"a": "x" * 2**20}}), "no configuration"),
    ],
)
def test_what_is_no_document_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_document(text)


def test_what_it_says_is_checked_like_a_file() -> None:
    bad = Document({"cache.default_ttl_seconds": "soon", "cache.nothing": "1", "log.level": {"a": "b"}})
    with pytest.raises(ConfigError) as caught:
        resolve(bad, "version 3", {})
    for part in (
        "3 errors",
        "cache.default_ttl_seconds: 'soon' is not valid",
        "'cache.nothing'",
        "log.level",
    ):
        assert part in str(caught.value)
