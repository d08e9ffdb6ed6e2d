"""Switching a process's configuration in place: what may change does, at once; the rest is named."""

import inspect
import re
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest

from riptide.config import Loaded, Settings, load
from riptide.config.catalog import catalog
from riptide.config.live import Live, compare
from riptide.config.models import settings as rules
from riptide.config.names import LIVE, OWN
from riptide.errors import InvalidInput

ROOT = Path(__file__).parents[3]


def live(**environ: str) -> Live:
    return Live(load(environ=environ))


def settings(**environ: str) -> Settings:
    return load(environ=environ).settings


def test_whoever_has_a_section_sees_the_new_values() -> None:
    process = live()
    cache, untouched = process.settings.cache, process.settings.workers
    done = process.switch(settings(CACHE_DEFAULT_TTL_SECONDS="5", REDIS_POOL_SIZE="3"), "2-a", _fail)
    assert cache.default_ttl_seconds == process.settings.cache.default_ttl_seconds == 5
    assert process.settings.cache is cache
    assert process.settings.workers is untouched
    assert done.changed == ("cache.default_ttl_seconds",)
    assert done.restart == process.restart == ("redis.pool_size",)
    assert process.settings.redis.pool_size == 10, "the pool is as large as it was, and so it is shown"
    assert process.version == "2-a"


def test_a_setting_of_no_section_is_switched_too() -> None:
    process = live()
    done = process.switch(settings(USE_PERSISTENCE_LAYER="off", ENABLE_PERSISTENCE="off"), "2-a", _fail)
    assert (done.changed, done.restart) == (("use_persistence_layer",), ("enable_persistence",))
    assert not process.settings.use_persistence_layer
    assert process.settings.enable_persistence
    assert not live(ENABLE_PERSISTENCE="off").follows, "who touches no server hears of nothing"


def test_other_settings_of_the_program_stay() -> None:
    """Sections that nobody gives are one object for all Settings."""
    other, process = Settings(), live()
    process.switch(settings(CACHE_DEFAULT_TTL_SECONDS="5"), "2-a", _fail)
    assert other.cache.default_ttl_seconds == Settings().cache.default_ttl_seconds == 3600


def test_who_wants_to_hears_of_its_section_and_one_error_is_not_the_others() -> None:
    process = live()
    heard: list[int] = []
    failed: list[Exception] = []

    def broken(_: Settings) -> None:
        raise RuntimeError("oops")

    process.on_change(["cache"], broken)
    end = process.on_change(["cache", "log"], lambda now: heard.append(now.cache.default_ttl_seconds))
    process.on_change(["workers"], lambda _: heard.append(-1))
    process.switch(settings(CACHE_DEFAULT_TTL_SECONDS="5"), "2-a", failed.append)
    process.switch(settings(CACHE_DEFAULT_TTL_SECONDS="5"), "3-a", failed.append)
    assert heard == [5], "nothing changed the second time"
    assert [str(error) for error in failed] == ["oops"]
    end()
    end()
    process.switch(settings(LOG_LEVEL="debug"), "4-a", failed.append)
    assert heard == [5]
    with pytest.raises(InvalidInput, match="there is no section 'cash'; the sections are redis, cache"):
        process.on_change(["cash"], broken)


def test_settings_given_as_an_object_are_their_owners() -> None:
    given = Settings()
    process = Live(given)
    assert process.settings is given
    assert not process.follows
    assert not live(ENABLE_HOT_RELOAD="false").follows
    assert live().follows


def test_the_table_of_what_is_live_is_right() -> None:
    assert set(catalog()) >= LIVE
    assert not [path for path in LIVE if catalog()[path].secret], "a version of the configuration holds none"


def test_the_docs_say_of_each_other_setting_why_it_needs_a_restart() -> None:
    text = (ROOT / "docs/live-configuration.md").read_text("utf-8")
    table = text.partition("## What needs a restart")[2].partition("\n\nThe result")[0]
    named = re.findall(r"`([a-z_*0-9.]+)`", table)
    found = [path for name in named for path in catalog() if fnmatch(path, name)]
    assert sorted(found) == sorted(set(catalog()) - LIVE - OWN)


def test_what_the_program_was_told_in_another_way_stays() -> None:
    loaded = load(environ={})
    settings = loaded.settings.model_copy(
        update={"workers": loaded.settings.workers.model_copy(update={"concurrency": 3})}
    )
    process = Live(replace(loaded, settings=settings, own=frozenset({"workers.concurrency"})))
    done = process.switch(load(environ={"CACHE_DEFAULT_TTL_SECONDS": "5"}).settings, "2-a", _fail)
    assert done.changed == ("cache.default_ttl_seconds",)
    assert done.restart == ()
    assert process.settings.workers.concurrency == 3


def test_a_rule_is_about_settings_of_one_kind() -> None:
    """Else the live half of a good configuration could break a rule with the half that waits."""
    source = inspect.getsource(rules._broken_rules)
    groups = [[path for path in catalog() if f'"{path}"' in part] for part in source.split("yield")[1:]]
    assert len(groups) >= 3
    for paths in groups:
        assert len(paths) == 2
        assert len({path in LIVE for path in paths}) == 1, paths


def test_nothing_is_said_of_secrets() -> None:
    assert (
        compare(Settings(), settings(REDIS_URL="redis://:x@h:1", SECURITY_ENCRYPTION_KEY="k")).restart == ()
    )


def _fail(error: Exception) -> None:
    raise error


def test_what_was_loaded_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("cache: {default_ttl_seconds: 5}\n")
    loaded: Loaded = load(path, {})
    assert loaded.data == path.read_bytes()
    assert load(path, {}, b"cache: {default_ttl_seconds: 6}\n").settings.cache.default_ttl_seconds == 6
