"""Fixtures from tests/support."""

from pathlib import Path

import pytest

from tests.support.fixtures import alone, deployment, on_valkey

__all__ = ["alone", "deployment", "on_valkey"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a purge writes down goes to ./data, where no other store is configured."""
    monkeypatch.chdir(tmp_path)
