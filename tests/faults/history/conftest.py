"""Fixtures of the checks of whole histories."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.crew import Place
from tests.support.s3 import s3_settings, s3_url
from tests.support.trial import Trial

__all__ = ["s3_settings", "s3_url"]


@pytest.fixture
def trial(tmp_path: Path, prefix: str, rng: random.Random) -> Iterator[Callable[..., Trial]]:
    """`trial(url, cluster=False, **sections)` is a deployment whose history is written down."""
    begun: list[Trial] = []

    def begin(url: str, *, cluster: bool = False, jumps: str | None = None, **sections: Any) -> Trial:
        directory = tmp_path / f"trial{len(begun)}"
        directory.mkdir()
        found = Trial(Place(url, f"{prefix}{len(begun)}", directory, cluster, sections, jumps), rng)
        begun.append(found)
        return found

    yield begin
    for one in begun:
        one.__exit__(None, None, None)
