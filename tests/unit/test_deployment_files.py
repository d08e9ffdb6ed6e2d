"""config/: units, image, compose and production.yml fit each other, the Procfile and the settings."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from honcho.environ import parse_procfile
from typer.testing import CliRunner

from riptide.cli.main import app
from riptide.config import load
from riptide.config.reference import PAGE, page
from tests.conftest import IN_CI

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "config/systemd"
PRODUCTION = ROOT / "config/production.yml"
DOCKERFILE = ROOT / "config/docker/Dockerfile"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "config/docker/compose.yml").read_text())
COMMON = (UNITS / "riptide-.service.d/common.conf").read_text()
POOLS: dict[str, str] = dict(parse_procfile((ROOT / "Procfile").read_text()).processes)


def value(text: str, name: str) -> str:
    """Of a unit's setting."""
    (found,) = re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)
    return str(found)


def unit_of(pool: str) -> Path:
    template = UNITS / f"riptide-{pool}@.service"
    return template if template.exists() else UNITS / f"riptide-{pool}.service"


def test_each_line_of_the_procfile_has_a_unit_and_a_service() -> None:
    for pool, line in POOLS.items():
        program = value(unit_of(pool).read_text(), "ExecStart")
        assert program == f"/opt/riptide/.venv/bin/{line}"
        service = COMPOSE["services"][pool]
        command = service.get("command") or re.findall(
            r'^CMD \["(\w+)"\]', DOCKERFILE.read_text(), re.MULTILINE
        )
        assert ["riptide", *command] == line.split()


@pytest.fixture
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        assert not IN_CI, "systemd-analyze is not installed"
        pytest.skip("systemd-analyze is not installed")
    return found


def test_systemd_accepts_the_units(systemd_analyze: str, tmp_path: Path) -> None:
    """As they are, but for the program, which is not installed here."""
    units = tmp_path / "units"
    shutil.copytree(UNITS, units)
    for unit in units.glob("*.service"):
        text = unit.read_text()
        unit.write_text(text.replace("/opt/riptide/.venv/bin/riptide", "/bin/true"))
    names = [re.sub(r"@\.", "@1.", unit.name) for unit in units.iterdir() if unit.is_file()]
    assert len(names) >= 5
    for name in [name for name in names if "@1" in name]:
        (units / name).symlink_to(units / name.replace("@1", "@"))
    ended = subprocess.run(
        [systemd_analyze, "verify", "--man=no", *(str(units / name) for name in names)],
        env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in ended.stderr.splitlines() if "riptide" in line]
    assert (ended.returncode, told) == (0, []), ended.stderr


def test_a_typing_error_in_a_unit_is_found(systemd_analyze: str, tmp_path: Path) -> None:
    unit = tmp_path / "wrong.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nNoNewPrivilege=yes\n")
    ended = subprocess.run(
        [systemd_analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert "NoNewPrivilege" in ended.stderr


def test_supervisors_wait_longer_than_a_process_takes_to_stop() -> None:
    for path in (PRODUCTION, ROOT / "config/persistence.yml"):
        longest = load(path, {}).settings.state.shutdown_timeout_seconds
        assert int(value(COMMON, "TimeoutStopSec")) >= longest + 10
        for name, service in COMPOSE["services"].items():
            if name in POOLS:
                assert int(service["stop_grace_period"].removesuffix("s")) >= longest + 10


def test_the_image_is_made_of_what_there_is() -> None:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    allowed = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in allowed
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-slim-\w+$", text, re.MULTILINE), "pinned"
    last = text.rpartition("FROM ")[2]
    assert re.search(r"^USER riptide$", last, re.MULTILINE)
    assert "/health/live" in last
    assert not re.search(r"(PASSWORD|SECRET|ENCRYPTION_KEY)\w*=\S", text)


def test_production_loads_without_a_note() -> None:
    loaded = load(PRODUCTION, {})
    assert loaded.notices == []
    ended = CliRunner().invoke(app, ["config", "check", str(PRODUCTION)], env={"RIPTIDE_CONFIG": ""})
    assert ended.exit_code == 0, ended.output
    assert "note:" not in ended.output
    given = {
        "REDIS_URL": "rediss://u@h:6380/0",
        "REDIS_PASSWORD": "secret",
        "BLOBS_URL": "s3://bucket/prefix",
    }
    settings = load(PRODUCTION, given).settings
    assert settings.redis.url.get_secret_value() == given["REDIS_URL"]
    assert settings.redis.password is not None
    assert settings.blobs.url == given["BLOBS_URL"]


def test_production_explains_itself() -> None:
    """Nothing stands there without a word on why, in its section or before it."""
    lines = PRODUCTION.read_text().splitlines()
    comments = sum(line.strip().startswith("#") for line in lines)
    settings = sum(bool(re.match(r" {4}\w+:", line)) for line in lines)
    assert comments > settings / 2


def test_the_page_of_settings_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m riptide.config.reference"
