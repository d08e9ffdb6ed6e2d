"""Emergency checkpoints."""

from collections.abc import Callable
from pathlib import Path

from riptide.state.checkpoints.alarm import Alarm
from riptide.state.checkpoints.shelf import Shelf
from tests.servers import ServerProcess
from tests.support.checkpointed import checkpoint_settings
from tests.support.deployment import Deployment


def test_a_server_in_order_needs_none(deployment: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(deployment, tmp_path)
    assert Alarm(settings).look() is None
    assert not Shelf(settings).ids()


def test_a_server_whose_memory_is_used_up(
    private_server: Callable[..., ServerProcess], prefix: str, tmp_path: Path
) -> None:
    """Once an hour, whatever number of workers see it; also where nothing can be written any more."""
    deployment = Deployment(private_server(aof=False).url, prefix)
    settings = checkpoint_settings(deployment, tmp_path)
    deployment.client.hset(deployment.keys.record("acme"), mapping={"incarnation": "0" * 16, "revision": 1})
    used = deployment.client.info("memory")["used_memory"]
    deployment.client.config_set("maxmemory", used // 2)
    began = int(deployment.server_seconds()) // 3600
    for _ in range(2):
        why = Alarm(settings).look()
        assert why is not None
        assert "% of its memory" in why
    found = Shelf(settings).list()[0]
    assert 1 <= len(found) <= int(deployment.server_seconds()) // 3600 - began + 1
    for made in found:
        assert (made.kind, made.tenants) == ("emergency", 1)
        assert "% of its memory" in made.note
    deployment.close()
