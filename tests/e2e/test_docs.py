"""What docs/extending.md shows works as it stands."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import ROOT
from tests.support.waiting import PATIENCE

PAGE = (ROOT / "docs/extending.md").read_text()
FILES = {
    text.splitlines()[0].removeprefix("# "): text
    for text in re.findall(r"^```(?:python|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}


def test_the_example_of_a_test_has_ten_lines() -> None:
    lines = [line for line in FILES["test_shop.py"].splitlines()[1:] if line]
    assert len(lines) <= 10


def test_the_examples_of_tests_pass(tmp_path: Path, binary: Callable[[str], Path]) -> None:
    binary("valkey")
    assert set(FILES) == {"shop.py", "persistence.yml", "conftest.py", "test_shop.py", "test_shop_later.py"}
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "--strict-markers"]
    command += [
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ]  # pytest-asyncio warns where nothing is said
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout
