"""Durations, decorated functions' keys, the server's time, scripts' form."""

import re
from importlib import resources
from typing import Any

import pytest

from riptide.cache.core import Core, milliseconds
from riptide.cache.decorating import key_maker
from riptide.cache.server_time import ServerTime
from riptide.cache.writing import options, prepare
from riptide.config import CacheSettings
from riptide.errors import EntryTooLarge, InvalidInput
from riptide.names import check_key
from riptide.store.keys import Keys
from tests.support.anybody import Anybody, found


class FixedClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now_ms(self) -> int:
        return 5

    def monotonic(self) -> float:
        return self.seconds


def test_durations() -> None:
    assert milliseconds(1.5, "ttl") == 1500
    assert milliseconds(0, "stale", least=0) == 0
    for bad in (0, -1, 0.0001, float("nan"), float("inf"), 10**10, "5", None, True):
        with pytest.raises(InvalidInput, match="ttl is a number of seconds"):
            milliseconds(bad, "ttl")


def test_server_time_is_trusted_for_a_minute() -> None:
    clock = FixedClock()
    time = ServerTime(clock)
    assert time.now_ms() is None
    time.learn(1_000_000)
    clock.seconds += 59
    assert time.now_ms() == 1_059_000
    clock.seconds += 2
    assert time.now_ms() is None


def function(a: Any, b: Any = 2, *rest: Any, flag: Any = None, **more: Any) -> None: ...


def test_one_key_for_one_call() -> None:
    make = key_maker(function, None)
    assert make(1) == make(a=1) == make(1, 2) == make(1, b=2, flag=None)
    scalars = [make(1), make(True), make(1.0), make("1"), make(None), make("1, b=2")]
    groups = [
        make([1]),
        make([[1]]),
        make([1, 2]),
        make(["1, 2"]),
        make({"a": 1}),
        make({1: 1}),
        make({"1": 1}),
    ]
    shapes = [make(1, 3), make(1, 2, 3), make(1, flag=1), make(1, c=1)]
    different = scalars + groups + shapes
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("argument", [object(), b"1", {1}, [object()], {"a": b""}])
def test_arguments_that_are_no_key(argument: Any) -> None:
    with pytest.raises(InvalidInput, match="pass key="):
        key_maker(function, None)(argument)


def test_long_arguments_still_make_a_key() -> None:
    make = key_maker(function, None)
    long = [make("ä" * 1000), make("ä" * 1001), make("a", "ä" * 2000)]
    assert len(set(long)) == 3
    for key in long:
        assert check_key(key).startswith(f"{__name__}.function(")
    assert make("ä" * 2000) == make(a="ä" * 2000)


def test_own_key() -> None:
    assert key_maker(function, lambda a: f"page {a}")(7) == "page 7"


def test_too_large_says_what_the_limit_is() -> None:
    core = Core(Keys(), CacheSettings(max_entry_size_bytes=1000), Anybody(Keys()))
    space = found(core)
    prepare(core, space, "k", b"x" * 1000, options())
    with pytest.raises(EntryTooLarge, match=r"'k' has 1001 bytes .* cache.max_entry_size_bytes = 1000"):
        prepare(core, space, "k", b"x" * 1001, options())
    with pytest.raises(EntryTooLarge):
        prepare(core, space, "k", b"x", options(attributes={"a": "y" * 1000}))


def test_tags_are_checked() -> None:
    core = Core(Keys(), CacheSettings(), Anybody(Keys()))
    prepare(core, found(core), "k", 1, options(tags=[str(n) for n in range(64)]))
    with pytest.raises(InvalidInput, match="at most 64 tags"):
        prepare(core, found(core), "k", 1, options(tags=[str(n) for n in range(65)]))
    with pytest.raises(InvalidInput, match="list of texts"):
        options(tags="page")


LUA = resources.files("riptide.cache").joinpath("lua")
SCRIPTS = sorted(path.name for path in LUA.iterdir() if path.name.endswith(".lua"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_declare_what_they_touch(name: str) -> None:
    source = LUA.joinpath(name).read_text()
    lines = source.splitlines()
    assert re.fullmatch(r"#!lua( flags=(no-writes,)?allow-oom)?", lines[0])
    header = " ".join(line for line in lines[1:] if line.startswith("--"))
    for part in ("KEYS:", "ARGV:", "Returns:"):
        assert part in header
    calls = re.findall(r"redis\.call\('(\w+)'(?:, ([^,)]+))?", source)
    for command, first in calls:
        assert command == "TIME" or re.match(r"KEYS\[|unpack\(KEYS", first), f"{command} {first}"
