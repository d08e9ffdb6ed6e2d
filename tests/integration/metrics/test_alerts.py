"""The alert rules and the dashboard: what Prometheus's own tool says, and that they speak of metrics that
exist."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from riptide.metrics.catalog import CATALOG

CONFIG = Path(__file__).parents[3] / "config"
RULES: list[dict[str, Any]] = yaml.safe_load((CONFIG / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
SEVERITIES = {
    "CachePerformanceDegraded": "warning",
    "TenantQuotaExceeded": "warning",
    "CacheHitRateLow": "info",
    "MemoryPressureHigh": "warning",
    "StreamLagging": "warning",
    "DeadLettersGrowing": "warning",
    "ArchiveBehind": "warning",
    "MetricsStale": "warning",
}


def promtool(*arguments: str) -> None:
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is missing: apt-get install prometheus")
        pytest.skip("promtool is missing: apt-get install prometheus")
    run = subprocess.run([found, *arguments], cwd=CONFIG, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", "alerts.yml")


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "alerts.test.yml")


def test_each_alert_leads_to_its_section_of_the_runbook() -> None:
    assert {rule["alert"]: rule["labels"]["severity"] for rule in RULES} == SEVERITIES
    runbook = (CONFIG.parent / "docs/runbook.md").read_text("utf-8")
    headings = re.findall(r"^## (\w+)$", runbook, re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def names_in(expression: str) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\briptide_\w+", expression)}


def test_rules_and_dashboard_speak_of_metrics_that_exist() -> None:
    dashboard = json.loads((CONFIG / "grafana/riptide.json").read_text("utf-8"))
    shown = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    used = set[str]().union(*map(names_in, shown))
    assert used == set(CATALOG), "all of them can be seen"
    assert set[str]().union(*(names_in(rule["expr"]) for rule in RULES)) <= set(CATALOG)
