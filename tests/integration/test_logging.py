"""What the library tells in a program that is not its own: never on standard output by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.deployment import Deployment
from tests.support.fixtures import on_valkey
from tests.support.waiting import PATIENCE
from tests.support.workers import ROOT

__all__ = ["on_valkey"]

PROGRAM = """
import logging, sys
import structlog
import riptide
from riptide.store.operation import Operation, identity

with riptide.connect() as rt:
    def note(key):
        rt.store.run(Operation(("BLPOP", key, 0.1), identity))  # the slow log notes it

    note("nothing set up")
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    note("logging set up")
    structlog.configure([structlog.processors.JSONRenderer()])
    note("structlog set up")
"""


def test_warnings_go_where_the_program_says_and_to_stderr_by_default(
    on_valkey: Deployment, tmp_path: Path
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "REDIS_URL": on_valkey.url, "PERF_SLOW_THRESHOLD_MS": "50"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    err, out = ([line for line in text.splitlines() if "BLPOP" in line] for text in (run.stderr, run.stdout))
    assert len(err) == 1
    assert "nothing set up" in err[0]
    by_logging, by_structlog = out
    assert by_logging.startswith("WARNING riptide.slow: slow operation")
    assert "logging set up" in by_logging
    noted = json.loads(by_structlog)
    assert (noted["event"], noted["key"]) == ("slow operation", "structlog set up")
