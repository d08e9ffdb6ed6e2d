"""How a server is named and logged in to."""

import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riptide.config import Settings
from riptide.errors import ServerUnavailable
from tests.integration.store.faces import Face, op, settings
from tests.servers import Server, ServerProcess
from tests.servers.ports import free_port
from tests.support.proxy import Proxy

Open = Callable[[Settings], Face]
PASSWORD = "p@ss/w:rd?#"
QUOTED = "p%40ss%2Fw%3Ard%3F%23"


@pytest.fixture
def locked(private_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with a password for the default user, and a user `app`."""
    server = private_server(aof=False)
    with server.client() as client:
        client.acl_setuser("app", enabled=True, passwords=["+" + PASSWORD], commands=["+@all"], keys=["*"])
        client.config_set("requirepass", PASSWORD)
    return server


def said(caught: pytest.ExceptionInfo[Any]) -> str:
    """All that may reach a log: the error, its causes, their frames."""
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


async def test_standalone_with_a_database(valkey: Server, opened: Open, prefix: str) -> None:
    first, second = opened(settings(f"{valkey.url}/0")), opened(settings(f"{valkey.url}/1"))
    await first.run(op("SET", prefix, "zero"))
    await second.run(op("SET", prefix, "one"))
    assert await first.run(op("GET", prefix)) == b"zero"
    assert await second.run(op("GET", prefix)) == b"one"


async def test_unix_socket(private_server: Callable[..., ServerProcess], opened: Open) -> None:
    with tempfile.TemporaryDirectory() as directory:  # a socket's path must be short
        path = Path(directory) / "s"
        private_server(aof=False, unixsocket=str(path))
        store = opened(settings(f"unix://{path}"))
        await store.run(op("SET", "key", "value"))
        assert await store.run(op("GET", "key")) == b"value"


async def test_no_such_socket(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match=r"No such file.*check redis\.url"):
        await opened(settings(f"unix://{tmp_path}/none")).run(op("GET", "key"))


@pytest.mark.parametrize(
    ("user", "given"),
    [
        (b"default", {"url": f":{QUOTED}@"}),
        (b"app", {"url": f"app:{QUOTED}@"}),
        (b"default", {"password": PASSWORD}),
        (b"app", {"username": "app", "password": PASSWORD}),
        (b"app", {"url": f"app:{QUOTED}@", "username": "other", "password": "other"}),
        (b"app", {"url": "app@", "password": PASSWORD}),
    ],
    ids=["url", "url-user", "setting", "setting-user", "url-before-settings", "both"],
)
async def test_login(locked: ServerProcess, opened: Open, user: bytes, given: dict[str, Any]) -> None:
    given = dict(given)
    url = f"redis://{given.pop('url', '')}127.0.0.1:{locked.port}"
    assert await opened(settings(url, **given)).run(op("ACL", "WHOAMI")) == user


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
@pytest.mark.parametrize("place", ["url", "setting", "none"])
async def test_a_wrong_password_is_told_and_not_shown(
    locked: ServerProcess, opened: Open, scheme: str, place: str
) -> None:
    login = "app:wrong-secret@" if place == "url" else ""
    given: dict[str, Any] = {"username": "app", "password": "wrong-secret"} if place == "setting" else {}
    chosen = settings(f"{scheme}://{login}127.0.0.1:{locked.port}", **given)
    with pytest.raises(ServerUnavailable, match=r"refused the login.*redis\.password") as caught:
        await opened(chosen).run(op("GET", "key"))
    assert "wrong-secret" not in said(caught) + repr(chosen) + str(chosen)


async def test_a_wrong_password_is_not_tried_again(locked: ServerProcess, opened: Open) -> None:
    with Proxy(locked.url) as proxy:
        url = proxy.url.replace("//", "//:wrong@")
        with pytest.raises(ServerUnavailable, match="refused the login"):
            await opened(settings(url, retry_attempts=5)).run(op("GET", "key"))
        assert proxy.connections == 1


@pytest.mark.parametrize("server", ["cluster"], indirect=True)
async def test_a_cluster_by_its_living_seeds(server: Server, opened: Open, prefix: str) -> None:
    living = server.url.removeprefix("redis://")
    store = opened(settings(f"redis+cluster://127.0.0.1:{free_port()},{living}"))
    keys = [f"{prefix}:{number}" for number in range(20)]
    for key in keys:
        await store.run(op("SET", key, key))
    assert await store.run_all([op("GET", key) for key in keys]) == [key.encode() for key in keys]


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster", "redis+sentinel"])
async def test_nobody_listens(opened: Open, scheme: str) -> None:
    hosts = f"127.0.0.1:{free_port()}" + (f",127.0.0.1:{free_port()}" if "+" in scheme else "")
    path = "/mymaster" if "sentinel" in scheme else ""
    store = opened(settings(f"{scheme}://:some-secret@{hosts}{path}", retry_attempts=1))
    with pytest.raises(ServerUnavailable, match=r"cannot be reached.*check redis\.url") as caught:
        await store.run(op("GET", "key"))
    assert "some-secret" not in said(caught)
    assert len(str(caught.value)) < 300


async def test_a_server_that_is_no_cluster(valkey: Server, opened: Open) -> None:
    with pytest.raises(ServerUnavailable, match="Cluster mode is not enabled"):
        await opened(settings(valkey.url, cluster=True)).run(op("GET", "key"))
