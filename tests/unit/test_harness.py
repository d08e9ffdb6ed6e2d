"""The suite itself: what may be skipped, and where skipping would hide something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_pytest(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The suite's own pytest, of which only the integration test of the servers' versions is run."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    for name in ("CI", "SKIP_PERSISTENCE_TESTS"):
        inherited.pop(name, None)
    test = "tests/integration/test_servers.py::test_each_kind_answers_with_its_version"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test, *arguments],
        env=inherited | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_tests_that_need_a_server_can_be_skipped_at_a_desk() -> None:
    shown = run_pytest(SKIP_PERSISTENCE_TESTS="1")
    assert shown.returncode == 0
    assert "4 skipped" in shown.stdout


def test_nothing_can_be_skipped_in_ci() -> None:
    shown = run_pytest(SKIP_PERSISTENCE_TESTS="1", CI="true")
    assert shown.returncode == pytest.ExitCode.USAGE_ERROR
    assert "SKIP_PERSISTENCE_TESTS is set under CI=true" in shown.stderr


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_a_missing_server_is_skipped_at_a_desk_and_fails_in_ci(ci: str, outcome: str) -> None:
    shown = run_pytest("--servers", "redis7", PATH="/nonexistent", CI=ci)
    assert outcome in shown.stdout
    assert "apt-get install redis-server" in shown.stdout


def test_a_server_of_an_unknown_kind_is_refused() -> None:
    shown = run_pytest("--servers", "valkey,redis6")
    assert shown.returncode == pytest.ExitCode.USAGE_ERROR
    assert "redis6: known are valkey, redis7, redis8, cluster" in shown.stderr
