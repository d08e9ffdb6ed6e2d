"""The command line as a process of its own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE
from tests.support.workers import RIPTIDE, ROOT, environment, write_config

_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""


class CommandLine:
    """`riptide` of one deployment. It is given `sections` of the configuration."""

    def __init__(self, deployment: Deployment, directory: Path, sections: Mapping[str, Any]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        config = write_config(directory / "cli.yml", **sections)
        self._environment = environment(deployment, config)

    def run(self, *arguments: str, file_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
        """To its end, whatever that is. No file that it writes may get larger than `file_bytes`."""
        limited = [] if file_bytes is None else [sys.executable, "-c", _LIMITED, str(file_bytes)]
        return subprocess.run(
            [*limited, RIPTIDE, *arguments],
            env=self._environment,
            cwd=ROOT,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )

    def good(self, *arguments: str) -> str:
        """What it prints; AssertionError unless it ends well."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout
