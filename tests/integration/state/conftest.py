"""Fixtures from tests/support, and a blob store of every kind."""

from pathlib import Path

import pytest

from riptide.config import BlobsSettings
from riptide.state.blobs import Blobs, open_blobs
from tests.support.fixtures import alone, deployment, on_valkey
from tests.support.s3 import s3_settings, s3_url

__all__ = ["alone", "deployment", "on_valkey", "s3_settings", "s3_url"]


@pytest.fixture(params=["local", "s3", "s3 with prefix"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Every kind of blob store, empty."""
    if request.param == "local":
        return open_blobs(BlobsSettings(url=str(tmp_path / "blobs")))
    settings = request.getfixturevalue("s3_settings")
    return open_blobs(settings("/some/where" if "prefix" in request.param else ""))
