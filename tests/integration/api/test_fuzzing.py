"""schemathesis against the OpenAPI document, all its checks: no 5xx, and no answer that is not documented."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from riptide.api.app import create_app
from tests.conftest import IN_CI
from tests.support.api_process import ApiProcess
from tests.support.deployment import Deployment

CONFIG = Path(__file__).with_name("schemathesis.toml")
#: Its own program, whatever the shell finds.
ST = str(Path(sys.executable).with_name("st"))
#: Whoever fuzzes without a key tries many; and no worker ends what is waited for.
PATIENT = {"failed_tries": 10**9, "max_wait_seconds": 0.05}
_THOROUGH = 10


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without a key"])
def test_nothing_but_what_is_documented_is_answered(
    request: pytest.FixtureRequest, on_valkey: Deployment, tmp_path: Path, *, with_key: bool
) -> None:
    examples = request.config.option.fuzz_examples
    # As Hypothesis's own: in CI the examples are the same every time.
    seed = 1 if IN_CI else request.config.option.seed
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(create_app(on_valkey.settings()).openapi()))
    phases = "examples,coverage,fuzzing,stateful" if examples > _THOROUGH else "examples,fuzzing"
    with ApiProcess(on_valkey, tmp_path / "api", api=PATIENT) as api:
        key = ["--header", f"Authorization: Bearer {api.key}"] if with_key else []
        command = [ST, "--config-file", str(CONFIG), "run", str(document)]
        command += ["--url", f"http://127.0.0.1:{api.port}", "--checks", "all", "--phases", phases]
        command += ["--max-examples", str(examples), "--seed", str(seed), "--no-color", *key]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        log = api.log
    assert run.returncode == 0, f"seed {seed}\n{run.stdout[-60_000:]}{run.stderr[-2000:]}"
    assert "Exception in ASGI" not in log, log[-6000:]
