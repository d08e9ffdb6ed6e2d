"""The doctor, asked about a deployment on a real server."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from riptide.config import Loaded, load
from riptide.doctor.examining import CHECKS, Result, examine
from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey
from tests.support.workers import environment, write_config

__all__ = ["alone", "deployment", "on_valkey"]

Doctor = Callable[..., Result]


class Practice:
    """`practice("work.dead", streams={...})` is the result of one check, under these sections."""

    def __init__(self, deployment: Deployment, directory: Path) -> None:
        self.deployment, self._directory = deployment, directory

    def loaded(self, variables: Mapping[str, str] | None = None, **sections: Any) -> Loaded:
        path = write_config(self._directory / "doctor.yml", **sections)
        return load(path, environment(self.deployment, path) | dict(variables or {}))

    def __call__(self, name: str, variables: Mapping[str, str] | None = None, **sections: Any) -> Result:
        (check,) = (check for check in CHECKS if check.name == name)
        (result,) = examine(self.loaded(variables, **sections), [check], 60)
        return result

    def level(self, name: str, **sections: Any) -> str:
        return self(name, **sections).level.value

    def said(self, name: str, variables: Mapping[str, str] | None = None, **sections: Any) -> str:
        """What it saw and what to do, where it is not well."""
        result = self(name, variables, **sections)
        return "\n".join(f"{one.level}: {one.seen} -> {one.remedy}" for one in result.findings if one.remedy)


@pytest.fixture
def doctor(on_valkey: Deployment, tmp_path: Path) -> Practice:
    return Practice(on_valkey, tmp_path)


@pytest.fixture
def doctor_alone(alone: Deployment, tmp_path: Path) -> Practice:
    """Of a server that nobody else uses."""
    return Practice(alone, tmp_path)
