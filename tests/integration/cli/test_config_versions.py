"""`riptide config history | diff | rollback | apply`, and the version in `riptide workers`."""

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.support.deployment import Deployment
from tests.support.hosts import Host, ttl
from tests.support.waiting import eventually


@pytest.mark.timeout(600)  # some twenty processes, one after the other
def test_versions(on_valkey: Deployment, riptide_on_valkey: Cli, tmp_path: Path) -> None:
    riptide = riptide_on_valkey
    host = Host(on_valkey, tmp_path, **ttl("${TTL:-60}"))
    file = str(host.file)

    def current() -> str:
        return str(riptide("config", "history", "--json").json["current"])

    assert "no version yet" in riptide("config", "history").out
    assert riptide("config", "history", "--json").json == {"current": None, "refused": None, "versions": []}
    for command in ("diff", "rollback"):
        refused = riptide("config", command)
        assert refused.code == 2
        assert "no version of the configuration yet" in refused.err
    with host.worker() as worker:
        [member] = riptide("workers", "--json").json
        assert member["config"] is None
        assert "own file" in riptide("workers").out
        host.write(**ttl(61), redis={"pool_size": 3})
        eventually(lambda: current().startswith("2-"), "the edit to be accepted")
        [row] = [
            row for row in riptide("config", "diff", "--json").json if row["setting"].startswith("cache")
        ]
        assert row == {
            "setting": "cache.default_ttl_seconds",
            "before": "${TTL:-60}",
            "after": "61",
            "restart": False,
        }
        shown = riptide("config", "diff").out
        assert "${TTL:-60}" in shown
        assert "needs a restart" in shown
        eventually(
            lambda: riptide("workers", "--json").json[0]["config"] == current(), "the worker to have it"
        )
        assert current() in riptide("workers").out
        member = riptide("workers", "--json").json[0]
        assert (member["role"], member["version"]) == ("worker", version("riptide-persistence"))
        assert riptide("command", member["position"]["reload"], "--json").json["state"] == "done"

        back = riptide("config", "rollback")
        assert back.code == 0
        assert "the configuration is version 3-" in back.out
        assert "these need a restart: redis.pool_size" in back.out
        host.file.write_text("cache: [\n")
        eventually(lambda: "refused at" in riptide("config", "history").out, "the refusal to be shown")
        shown = riptide("config", "history").out
        assert "back to version 1, by" in shown
        assert f"one:{file}, as it was" in shown
        found = riptide("config", "history", "--json").json
        assert "is not YAML" in found["refused"]["why"]
        assert [one["current"] for one in found["versions"]] == [True, False, False]

        wrong = riptide("config", "apply", file)
        assert wrong.code == 2
        assert "is not YAML" in wrong.err
        # The worker sees this as well; who is first makes no difference.
        host.write(**ttl(62))
        dry = riptide("config", "apply", "--dry-run", file)
        assert "62" in dry.out or "no difference" in dry.out
        done = riptide("config", "apply", "--json", file)
        assert done.json["version"] == current()
        assert riptide("config", "diff", "2", "99").code == 2
        assert riptide("config", "rollback", "0").code == 2
        worker.terminate()
        assert worker.wait() == 0
    assert riptide("workers").out.strip() == "no workers"
