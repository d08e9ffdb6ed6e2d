"""Reads the configuration: environment over file over defaults; all that is wrong is told at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from riptide.config.catalog import catalog
from riptide.config.given import Given, Place
from riptide.config.models import Settings
from riptide.config.names import ENVIRONMENT, LEGACY
from riptide.config.resolve import Resolver
from riptide.config.yaml_file import YamlFile
from riptide.config.yaml_nodes import read_bytes
from riptide.errors import ConfigError

PATH_VARIABLE = "RIPTIDE_CONFIG"
DEFAULT_PATH = Path("config/persistence.yml")
DEFAULT_SOURCE = "default"


@dataclass(frozen=True)
class Loaded:
    """The configuration and where it came from.

    `notices` are to be logged at start: settings that were given but have no effect, and outdated names.
    `sources` says of every setting's path "default", "config/persistence.yml:12" or "env REDIS_URL".
    `path` is the file that was read, if one was, and `data` what was in it. `own` are paths of settings that
    the program was given in another way, which wins for as long as it runs.
    """

    settings: Settings
    notices: list[str]
    sources: dict[str, str]
    path: Path | None
    data: bytes | None = None
    own: frozenset[str] = frozenset()


def load(
    path: str | Path | None = None, environ: Mapping[str, str] | None = None, data: bytes | None = None
) -> Loaded:
    """Read `path`, else `RIPTIDE_CONFIG`, else `config/persistence.yml` if it exists; then the environment.

    Raises ConfigError with all that is wrong, a line each: file and line or variable, and what is right.
    An empty environment variable counts as not set. `data` is what the file holds, where that has been read.
    """
    environ = os.environ if environ is None else environ
    resolver = Resolver()
    found = _find(path, environ)
    if found is not None:
        data = read_bytes(found) if data is None else data
        file = YamlFile(found, environ, data)
        given = file.read()
        resolver.problems += file.problems
        resolver.take(given, LEGACY)
    resolver.take(from_environment(environ), ENVIRONMENT)
    settings = resolver.settings()
    sources = {path: resolver.sources.get(path, DEFAULT_SOURCE) for path in catalog()}
    return Loaded(settings, resolver.notices, sources, found, None if found is None else data)


def _find(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return Path(path)
    named = environ.get(PATH_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigError(f"env {PATH_VARIABLE}: there is no file {named}")
        return Path(named)
    return DEFAULT_PATH if DEFAULT_PATH.is_file() else None


def from_environment(environ: Mapping[str, str]) -> list[Given]:
    """What the variables say; an empty one says nothing."""
    values = {variable: environ[variable] for variable in ENVIRONMENT if environ.get(variable)}
    return [Given(name, value, Place(f"env {name}", value)) for name, value in values.items()]
