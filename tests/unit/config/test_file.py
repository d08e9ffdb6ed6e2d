"""The file: its forms, `${VAR}`, old names, and what YAML must not do."""

import pytest

from riptide.config import Settings, load
from riptide.errors import ConfigError

from .conftest import Refused, Write


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "persistence:\n", "{}", "redis:\ncache: {}\n", "\ufeffredis: {}"]
)
def test_a_file_that_says_nothing_means_defaults(write: Write, text: str) -> None:
    assert load(write(text), {}).settings == Settings()


@pytest.mark.parametrize("indent", ["", "  "])
def test_the_top_key_may_be_left_out(write: Write, indent: str) -> None:
    top = "persistence:\n" if indent else ""
    loaded = load(write(f"{top}{indent}redis: {{pool_size: 3}}\n{indent}log: {{level: debug}}\n"), {})
    assert (loaded.settings.redis.pool_size, loaded.settings.log.level) == (3, "debug")


def test_nothing_may_stand_beside_the_top_key(refused: Refused) -> None:
    message = refused("persistence:\n  redis: {}\ncache: {}\n")
    assert "persistence.yml:3: 'cache' is outside of 'persistence:'; indent it below" in message


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("on", True), ("'1'", True), ("true", True), ("NO", False), ("off", False), ("0", False)],
)
def test_booleans_in_all_their_spellings(write: Write, text: str, value: bool) -> None:
    assert load(write(f"redis: {{cluster_mode: {text}}}"), {}).settings.redis.cluster_mode is value


def test_texts_stay_what_they_are(write: Write) -> None:
    """YAML would make 1.1, an octal number, a date and a truth of these."""
    for text in ("1.10", "0123", "2026-01-01", "yes"):
        assert load(write(f"cache: {{version: {text}}}"), {}).settings.cache.version == text


def test_lists_and_mappings(write: Write) -> None:
    loaded = load(
        write(
            "cache: {loader_allowed_hosts: [a, b], warm_list: 'x, y'}\n"
            'workers: {handler_timeouts: {warm: 120, spill: 0.5}, modules: \'["a", "b,c"]\'}\n'
            "log: {levels: {riptide.cache: DEBUG}}\n"
        ),
        {},
    )
    assert loaded.settings.cache.loader_allowed_hosts == ("a", "b")
    assert loaded.settings.cache.warm_list == ("x", "y")
    assert loaded.settings.workers.handler_timeouts == {"warm": 120, "spill": 0.5}
    assert loaded.settings.workers.modules == ("a", "b,c")
    assert loaded.settings.log.levels == {"riptide.cache": "debug"}


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("${SIZE}", {"SIZE": "7"}, 7),
        ("${SIZE:-8}", {}, 8),
        ("${SIZE:-8}", {"SIZE": ""}, 8),
        ('"${SIZE:-8}"', {"SIZE": "9"}, 9),
        ("1${ZEROS}", {"ZEROS": "00"}, 100),
    ],
)
def test_variables_are_put_in(write: Write, text: str, environ: dict[str, str], value: int) -> None:
    loaded = load(path := write(f"\nredis:\n  pool_size: {text}\n"), environ)
    assert loaded.settings.redis.pool_size == value
    assert loaded.sources["redis.pool_size"] == f"{path}:3"


def test_what_a_variable_holds_is_not_expanded_again(write: Write) -> None:
    password = load(write("redis: {password: '${PW}'}"), {"PW": "a${b}"}).settings.redis.password
    assert password is not None
    assert password.get_secret_value() == "a${b}"


def test_a_plain_reference_can_be_written(write: Write) -> None:
    assert load(write("cache: {version: 'a$${b}$c'}"), {}).settings.cache.version == "a${b}$c"


def test_an_empty_default_is_no_password(write: Write) -> None:
    assert load(write("redis: {password: '${PW:-}'}"), {}).settings.redis.password is None


def test_a_variable_that_is_not_set(refused: Refused) -> None:
    message = refused("redis:\n  url: ${SHOP_URL}\ncache:\n  version: ${}\n")
    assert (
        "persistence.yml:2: redis.url: the variable SHOP_URL is not set; set it, or write ${SHOP_URL:-"
        in message
    )
    assert "persistence.yml:4: cache.version: malformed ${...}; write ${NAME}" in message


def test_the_old_flat_form_loads_and_names_the_new_one(write: Write) -> None:
    path = write(
        "redis_url: redis://old:1/0\ncache_ttl: 60\ncache_prefix: shop\nenable_compression: no\n"
        "redis_max_connections: 4\nmax_tenants: 5\npool: {min_size: 1}\nlog_level: error\n"
    )
    loaded = load(path, {})
    settings = loaded.settings
    assert settings.redis.url.get_secret_value() == "redis://old:1/0"
    assert (settings.cache.default_ttl_seconds, settings.cache.key_prefix) == (60, "shop")
    assert (settings.redis.pool_size, settings.tenant.max_tenants, settings.log.level) == (4, 5, "error")
    assert settings.cache.enable_compression is False
    assert f"{path}:1: redis_url is an old name; write redis.url" in loaded.notices
    assert f"{path}:2: cache_ttl is an old name; write cache.default_ttl_seconds" in loaded.notices
    assert any(
        notice.startswith(f"{path}:7: pool.min_size has no meaning here: ") for notice in loaded.notices
    )
    assert loaded.sources["redis.url"] == f"{path}:1"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("redis: {poolsize: 3}", "1: there is no setting 'redis.poolsize'; did you mean redis.pool_size?"),
        ("\ncahce: {}", "2: there is no setting 'cahce'; did you mean cache?"),
        ("cache: {pool_size: 3}", "1: there is no setting 'cache.pool_size'; did you mean redis.pool_size?"),
        ("redis_ur: x", "1: there is no setting 'redis_ur'; did you mean redis.url?"),
        ("zzz: 1", "1: there is no setting 'zzz'; `riptide config show` lists all settings"),
        ("redis: 5", "1: redis must be a mapping of names to values"),
        ("- a\n- b", "1: the file must be a mapping of names to values"),
        ("redis:\n  url: x\n  url: y", "3: 'url' appears twice in redis, first in line 2"),
        ("redis: {}\nredis: {}", "2: 'redis' appears twice in the file, first in line 1"),
        ("log: {levels: {a: info, a: info}}", "1: 'a' appears twice in log.levels, first in line 1"),
        ("? [a]\n: b", "1: a name in the file must be a plain text"),
        ("cache: {version: !!python/object:os.system x}", "1: cache.version: tags (!name) are not supported"),
        ("cache: {version: !secret x}", "1: cache.version: tags (!name) are not supported"),
    ],
)
def test_what_does_not_belong_is_an_error_with_its_line(refused: Refused, text: str, error: str) -> None:
    assert f"persistence.yml:{error}" in refused(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cache:\n  version: [", "persistence.yml:2: is not YAML: "),
        ("a: &x 1\nb: *x", "persistence.yml:1: is not YAML: anchors and aliases are not supported"),
        ("a: &x [*x]", "persistence.yml:1: is not YAML: anchors"),
        ("a: 1\n---\nb: 2", "persistence.yml:2: is not YAML: "),
        ("[" * 10_000, "persistence.yml: is nested too deeply"),
        ('a: "\\UFFFFFFFF"', "persistence.yml: is not YAML: a character or number is not allowed"),
        ("a: \x00", "persistence.yml: is not YAML: a character or number is not allowed"),
    ],
)
def test_what_is_not_yaml_is_an_error(refused: Refused, text: str, error: str) -> None:
    assert refused(text).startswith(error)


def test_what_is_not_text_is_an_error(write: Write) -> None:
    path = write("")
    path.write_bytes(b"redis: \xff\xfe")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 7\)"):
        load(path, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path.parent, {})
