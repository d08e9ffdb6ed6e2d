"""What the tests of the configuration share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from riptide.config import load
from riptide.config.names import ENVIRONMENT
from riptide.errors import ConfigError

Write = Callable[[str], Path]
Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository's own config/persistence.yml must not be found, nor what this shell has set."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for variable in (*ENVIRONMENT, "RIPTIDE_CONFIG"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration file and returns its path."""

    def written(text: str) -> Path:
        path = tmp_path / "persistence.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture
def refused(write: Write, tmp_path: Path) -> Refused:
    """Loads what must be refused; returns the message, with the file's directory cut off."""

    def message(text: str = "", **environ: str) -> str:
        with pytest.raises(ConfigError) as raised:
            load(write(text), environ)
        return str(raised.value).replace(f"{tmp_path}/", "")

    return message
