"""From what was given to `Settings`: names are resolved, values checked, layers laid over one another."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from riptide.config.catalog import Setting, catalog, sections
from riptide.config.given import Given, Problem
from riptide.config.models import Settings
from riptide.config.names import LEGACY, NO_MEANING, NOT_YET
from riptide.errors import ConfigError

_LONGEST_SHOWN = 60
_WHERE_TO_LOOK = "`riptide config show` lists all settings"


class Resolver:
    """Takes layers in turn, each over the ones before, and collects what is wrong or worth a notice."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notices: list[str] = []
        self.sources: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def take(self, layer: Iterable[Given], aliases: Mapping[str, str]) -> None:
        """Check a layer's values. Two names of one setting within it must agree."""
        first: dict[str, Given] = {}
        for given in layer:
            setting = self._setting(given, aliases)
            if setting is None:
                continue
            try:
                value = _check(setting, given)
            except ValidationError as error:
                self._wrong(setting, given, error)
                continue
            earlier = first.setdefault(setting.path, given)
            if earlier is not given and value != self._values[setting.path]:
                text = f"disagrees with {earlier.source}; both mean {setting.path}, so keep one"
                self._problem(given.source, text)
            self._values[setting.path] = value
            self.sources[setting.path] = earlier.source

    def settings(self) -> Settings:
        """The whole; raise ConfigError with all problems if there are any."""
        if not self.problems:
            try:
                return Settings.model_validate(self._nested())
            except ValidationError as error:
                self._rules_broken(error)
        listed = "".join(f"\n  {problem}" for problem in self.problems)
        count = "one error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        raise ConfigError(f"the configuration has {count}:{listed}")

    def _setting(self, given: Given, aliases: Mapping[str, str]) -> Setting | None:
        """The setting that is meant, if it exists and means something."""
        known = given.name in catalog() or given.name in NO_MEANING
        path = given.name if known else aliases.get(given.name)
        if path is None:
            self._problem(given.source, _unknown(given.name))
            return None
        if not known and aliases is LEGACY:
            self.notices.append(f"{given.source}: {given.name} is an old name; write {path}")
        if path in NO_MEANING:
            self.notices.append(f"{given.source}: {path} has no meaning here: {NO_MEANING[path]}")
            return None
        if path in NOT_YET:
            self.notices.append(f"{given.source}: {path} has no effect: {NOT_YET[path]}")
        return catalog()[path]

    def _wrong(self, setting: Setting, given: Given, errors: ValidationError) -> None:
        for error in errors.errors(include_url=False, include_input=False):
            if error["loc"][0] == setting.name:
                where, text = _explain(setting, given, error)
                self._problem(where, text)

    def _rules_broken(self, errors: ValidationError) -> None:
        for error in errors.errors(include_url=False, include_input=False):
            for paths, why in error["ctx"]["broken"]:
                given = [self.sources[path] for path in paths if path in self.sources]
                self._problem(", ".join(given), why)

    def _nested(self) -> dict[str, Any]:
        nested: dict[str, Any] = {}
        for path, value in self._values.items():
            section, _, name = path.rpartition(".")
            (nested.setdefault(section, {}) if section else nested)[name] = value
        return nested

    def _problem(self, source: str, text: str) -> None:
        self.problems.append(Problem(source, text))


def _check(setting: Setting, given: Given) -> Any:
    return getattr(setting.owner.model_validate({setting.name: given.value}), setting.name)


def _explain(setting: Setting, given: Given, error: ErrorDetails) -> tuple[str, str]:
    """Where it is wrong, and the sentence. Neither secrets nor expanded variables are repeated."""
    at = error["loc"][1:]
    place = given.inner.get(at, given.place)
    path = ".".join(map(str, (setting.path, *at)))
    hidden = setting.secret or place.written is None
    shown = "the value (not shown)" if hidden else _shorten(place.written or "")
    if at[-1:] == ("[key]",):
        known = error.get("ctx", {}).get("expected", "another name")
        return place.source, f"{path.removesuffix('.[key]')} is unknown; write {known}"
    if error["type"] == "missing":
        return place.source, f"{path} is missing; write {setting.expected_item()}"
    if error["type"] == "extra_forbidden":
        return place.source, f"{path} is unknown; write {setting.expected_item()}"
    why = f": {error['ctx']['error']}" if error["type"] == "value_error" else ""
    expected = setting.expected_item() if at and isinstance(given.value, dict) else setting.expected()
    return place.source, f"{path}: {shown} is not valid{why}; write {expected}"


def _shorten(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


def _unknown(name: str) -> str:
    leaf = name.rpartition(".")[2]
    elsewhere = [path for path in catalog() if path.rpartition(".")[2] == leaf]
    near = elsewhere or difflib.get_close_matches(name, [*catalog(), *LEGACY, *sections()], n=1)
    hint = f"did you mean {LEGACY.get(near[0], near[0])}?" if near else _WHERE_TO_LOOK
    return f"there is no setting {_shorten(name)}; {hint}"
