"""A user's own module: what is wrong with it is told before anything runs."""

import sys
import types
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from commands import COMMANDS, Command
from riptide.cache.loaders.registry import open_loaders
from riptide.config import CacheSettings
from riptide.errors import ConfigError
from riptide.streams.registry import Handler, Registry, load_handlers, load_models
from workers import HANDLERS


class Greet(Command):
    """Says hello."""

    type: ClassVar[str] = "greet"
    name: str


class OtherGreet(Command):
    """Has taken the same type."""

    type: ClassVar[str] = "greet"


class OwnWarm(Command):
    """Has taken a type of RipTide's."""

    type: ClassVar[str] = "warm"


async def greet(batch: Any, ctx: Any) -> None:
    return None


def greet_later(batch: Any, ctx: Any) -> Any:
    return greet(batch, ctx)


NO_FUNCTION = Handler("greet")  # type: ignore[arg-type]


def registry(*modules: str) -> Registry:
    return Registry(load_models(modules), load_handlers(HANDLERS, modules))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`module("shop", COMMANDS=[…])` is importable for the test."""

    def make(name: str, **content: Any) -> None:
        made = types.ModuleType(name)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)

    return make


def test_a_whole_module(module: Any) -> None:
    handler = Handler(greet, batch_size=10)
    module("shop", COMMANDS=[Greet], HANDLERS={"greet": handler}, LOADERS={"rows": lambda _: 1})
    types_ = registry("shop").types
    assert set(types_) == {*COMMANDS, "greet"}
    assert (types_["greet"].model, types_["greet"].handler) == (Greet, handler)
    assert "rows" in open_loaders(CacheSettings(), ["shop"]).names


def test_parts_may_live_in_modules_of_their_own(module: Any) -> None:
    module("shop_commands", COMMANDS={"greet": Greet})
    module("shop_workers", HANDLERS={"greet": Handler(partial(greet))}, COMMANDS=(Greet,))
    assert "greet" in registry("shop_commands", "shop_workers").types


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"COMMANDS": [Greet]}, "HANDLERS lacks a handler for greet"),
        ({"HANDLERS": {"greet": Handler(greet)}}, "COMMANDS lacks a command for greet"),
        ({"COMMANDS": [OwnWarm]}, "shop defines 'warm', and RipTide does too"),
        ({"COMMANDS": [Greet, OtherGreet]}, "shop defines 'greet', and shop does too"),
        ({"COMMANDS": {"hello": Greet}}, "has 'greet' under the name 'hello'"),
        ({"COMMANDS": ["greet"]}, "'greet', which is no subclass of riptide.Command"),
        ({"COMMANDS": [Command]}, "is no subclass of riptide.Command"),
        ({"COMMANDS": Greet}, r"shop\.COMMANDS is of type .*; write a list of classes"),
        ({"HANDLERS": {"warm": Handler(greet)}}, r"HANDLERS\['warm'\]: this type has a handler already"),
        ({"HANDLERS": {"greet": greet}}, r"HANDLERS\['greet'\] is no Handler; write Handler\(function\)"),
        ({"HANDLERS": [Handler(greet)]}, "HANDLERS is of type list; write a mapping"),
        ({"HANDLERS": {"greet": NO_FUNCTION}}, "of type str cannot be called; it must be `async def"),
        ({"HANDLERS": {"greet": Handler(greet_later)}}, "greet_later is not asynchronous"),
        ({"HANDLERS": {"greet": Handler(greet, batch_size=0)}}, "batch_size must be at least 1"),
    ],
)
def test_what_is_wrong_is_told(module: Any, content: dict[str, Any], message: str) -> None:
    module("shop", **content)
    with pytest.raises(ConfigError, match=message):
        registry("shop")


async def one(batch: Any) -> None:
    return None


async def three(batch: Any, ctx: Any, more: Any) -> None:
    return None


async def any_number(*everything: Any) -> None:
    return None


class Callable:
    async def __call__(self, batch: Any, ctx: Any) -> None:
        return None


@pytest.mark.parametrize("function", [one, three])
def test_a_wrong_signature(module: Any, function: Any) -> None:
    module("shop", COMMANDS=[Greet], HANDLERS={"greet": Handler(function)})
    with pytest.raises(ConfigError, match=f"{function.__name__} cannot be called with batch and ctx"):
        registry("shop")


@pytest.mark.parametrize("function", [any_number, Callable()])
def test_a_right_signature(module: Any, function: Any) -> None:
    module("shop", COMMANDS=[Greet], HANDLERS={"greet": Handler(function)})
    assert "greet" in registry("shop").types


def test_two_modules_with_one_type(module: Any) -> None:
    module("shop", COMMANDS=[Greet], HANDLERS={"greet": Handler(greet)})
    module("other", COMMANDS=[OtherGreet])
    with pytest.raises(ConfigError, match="other defines 'greet', and shop does too; take another type"):
        registry("shop", "other")
    registry("shop", "shop")  # named twice, as two layers of configuration may


@pytest.mark.parametrize(
    ("loaders", "message"),
    [
        ({"http": lambda _: 1}, "two loaders are called 'http'"),
        ({"a b": lambda _: 1}, "no command could name it"),
        ({"rows": 1}, r"LOADERS\['rows'\]: what is of type int cannot be called"),
        ({"rows": lambda: 1}, "cannot be called with request"),
        ([], "LOADERS is of type list; write a mapping"),
    ],
)
def test_what_is_wrong_with_loaders(module: Any, loaders: Any, message: str) -> None:
    module("shop", LOADERS=loaders)
    with pytest.raises(ConfigError, match=message):
        open_loaders(CacheSettings(), ["shop"])


def test_modules_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_shop.py").write_text("COMMANDS = []\nCOMMANDS.append(nothing)\n")
    (tmp_path / "needy_shop.py").write_text("import no_such_thing\n")
    for name, message in (
        ("no_shop", "there is no module 'no_shop': install it, or set PYTHONPATH"),
        ("no_shop.inner", "there is no module 'no_shop.inner'"),
        ("broken_shop", r"importing 'broken_shop' failed: NameError: .*nothing.*broken_shop\.py:2"),
        ("needy_shop", "importing 'needy_shop' failed: ModuleNotFoundError: .*no_such_thing"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_models([name])
