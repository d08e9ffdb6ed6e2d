"""The Procfile's processes start, serve every type, and stop in order."""

import signal
from collections import Counter
from collections.abc import Callable

import pytest
from honcho.environ import parse_procfile

from commands import COMMANDS
from riptide import Invalidate, Spill, connect
from tests.e2e.conftest import ROOT, Tree
from tests.servers import ServerProcess
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def pools() -> dict[str, str]:
    """The lines that are workers."""
    found: dict[str, str] = dict(parse_procfile((ROOT / "Procfile").read_text()).processes)
    return {name: line for name, line in found.items() if "riptide worker" in line}


def test_every_type_has_one_pool() -> None:
    served = Counter(
        kind for line in pools().values() for kind in line.rpartition("--commands ")[2].split(",")
    )
    assert served == Counter(COMMANDS.keys())


def test_its_processes_start_serve_and_stop(
    tree: Tree, private_server: Callable[..., ServerProcess], prefix: str
) -> None:
    server = private_server()
    deployment = Deployment(server.url, prefix)
    bin_ = tree.directory / ".venv/bin"
    environment = {
        "REDIS_URL": server.url,
        "CACHE_KEY_PREFIX": prefix,
        "PATH": f"{bin_}:{tree.environment()['PATH']}",
    }
    config = tree.directory / "config/persistence.yml"
    config.write_text(config.read_text().replace("    port: 8080\n", "    port: 0\n"))
    honcho = tree.launch(str(bin_ / "honcho"), "start", **environment)
    eventually(lambda: len(deployment.members()) == len(pools()), "all pools to join")

    with connect(config=deployment.settings(tenant={"enabled": True})) as rt:
        rt.tenants.create("acme")
        rt.cache.set("k", "old", tenant="acme")
        done = rt.wait(rt.publish(Invalidate(keys=("k",)), tenant="acme"), PATIENCE)
        spilled = rt.wait(rt.publish(Spill()), PATIENCE)
        assert rt.cache.get("k", tenant="acme") is None
    assert (done.state, spilled.state) == ("done", "done")

    eventually(lambda: "listening" in honcho.out, "the API to listen")
    honcho.send(signal.SIGTERM)
    honcho.end()
    assert deployment.members() == [], honcho.out
    assert tree.leftovers() == []
    deployment.close()
