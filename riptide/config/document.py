"""A configuration as it is written, to be shared: values by setting, `${VAR}` unexpanded, without secrets;
and the plans that tenants can have."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riptide.config.catalog import catalog
from riptide.config.given import Given, Place, Problem
from riptide.config.interpolate import expand
from riptide.config.loader import from_environment
from riptide.config.models import Settings
from riptide.config.names import ENVIRONMENT, LEGACY, LIVE, OWN
from riptide.config.resolve import Resolver
from riptide.config.yaml_file import YamlFile
from riptide.errors import ConfigError

_FORMAT = 1
_PLANS = "plans."
_MOST_BYTES = 1024**2


@dataclass(frozen=True)
class Document:
    """What a file says, by setting, under today's names. Settings that can hold a secret are left out: each
    process has them from its own file and environment. So is what a host says of itself. `plans` is what the
    file of plans says; None where there is none."""

    given: Mapping[str, Any]
    plans: Mapping[str, Any] | None = None

    def text(self) -> str:
        """As JSON; the same settings make the same text."""
        whole = {"format": _FORMAT, "settings": dict(self.given)}
        if self.plans is not None:
            whole["plans"] = dict(self.plans)
        return json.dumps(whole, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text().encode()).hexdigest()


@dataclass(frozen=True)
class Difference:
    """One setting, or `plans.<name>`, that two documents write differently; None: not given. `live`: no
    restart is needed."""

    path: str
    before: Any
    after: Any
    live: bool


def document_of(path: Path, data: bytes, plans: Mapping[str, Any] | None = None) -> Document:
    """The document of a file that holds `data`. Raises ConfigError if it is no YAML."""
    given = {}
    for one in YamlFile(path, None, data).read():
        setting = catalog().get(one.name) or catalog().get(LEGACY.get(one.name, ""))
        if setting is not None and not setting.secret and setting.path not in OWN:
            given[setting.path] = one.value
    return Document(given, plans)


def parse_document(text: str | bytes) -> Document:
    """Read what `Document.text` wrote; raise ConfigError if it is something else."""
    try:
        whole = json.loads(text) if len(text) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        whole = None
    if not isinstance(whole, dict) or not isinstance(whole.get("settings"), dict):
        raise ConfigError("it is no configuration as RipTide stores it")
    if whole.get("format") != _FORMAT:
        raise ConfigError("it is a configuration of a format that this release does not read")
    plans = whole.get("plans")
    if not isinstance(plans, dict | None):
        raise ConfigError("it is no configuration as RipTide stores it: its plans are no mapping")
    return Document(whole["settings"], plans)


def resolve(document: Document, source: str, environ: Mapping[str, str]) -> Settings:
    """The settings that it means here: variables put in, and the environment over it.

    Raises ConfigError with all that is wrong; `source` says what it is.
    """
    resolver = Resolver()
    layer = []
    for name, value in document.given.items():
        try:
            place = Place(source, value if isinstance(value, str) else None)
            layer.append(Given(name, _expanded(value, environ), place))
        except ValueError as error:
            resolver.problems.append(Problem(source, f"{name}: {error}"))
    resolver.take(layer, {})
    resolver.take(from_environment(environ), ENVIRONMENT)
    return resolver.settings()


def differences(before: Document, after: Document) -> list[Difference]:
    """What they write differently, in the order of the models; then plans."""
    old, new = _flat(before), _flat(after)
    return [
        Difference(path, old.get(path), new.get(path), path in LIVE or path.startswith(_PLANS))
        for path in (*catalog(), *sorted(path for path in {*old, *new} if path.startswith(_PLANS)))
        if old.get(path) != new.get(path)
    ]


def _flat(document: Document) -> dict[str, Any]:
    plans = (document.plans or {}).get("plans")
    named = plans if isinstance(plans, dict) else {}
    return {**document.given, **{f"{_PLANS}{name}": plan for name, plan in named.items()}}


def _expanded(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return expand(value, environ)
    if isinstance(value, dict):
        return {name: _expanded(item, environ) for name, item in value.items()}
    return [_expanded(item, environ) for item in value] if isinstance(value, list) else value
