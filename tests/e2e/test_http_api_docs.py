"""What docs/http-api.md shows works as it stands, and it names every problem."""

import re
import subprocess
from pathlib import Path

from tests.e2e.conftest import ROOT
from tests.support.api_process import ApiProcess
from tests.support.deployment import Deployment
from tests.support.fixtures import on_valkey
from tests.support.waiting import PATIENCE

__all__ = ["on_valkey"]

PAGE = (ROOT / "docs/http-api.md").read_text()
_NAMED = re.compile(
    r'(?:Problem\(\s*\d+,|\(errors\.\w+, \d+,|\(\w+, \d+,|^    \d+: \()\s*"([a-z-]+)"', re.MULTILINE
)


def test_the_examples_run(on_valkey: Deployment, tmp_path: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    script = "set -euo pipefail\n" + "\n".join(blocks)
    with ApiProcess(on_valkey, tmp_path) as api:
        run = subprocess.run(
            ["bash", "-c", script],
            env={
                "PATH": "/usr/bin:/bin",
                "RIPTIDE": f"http://127.0.0.1:{api.port}",
                "RIPTIDE_KEY": api.key,
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"state":"cancelled"' in run.stdout
    assert '"role":"api"' in run.stdout
    assert len(on_valkey.entries("record_usage")) == 1


def test_every_problem_is_named() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "riptide/api").rglob("*.py"))
    names = set(_NAMED.findall(code))
    assert len(names) > 20
    missing = {name for name in names if f"`{name}`" not in PAGE.partition("## Problems")[2]}
    assert missing == set()
