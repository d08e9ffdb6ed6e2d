"""The tests' own servers are what they claim to be."""

import os
import random
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.servers import Cluster, Server, ServerProcess

VERSIONS = {
    "valkey": ("valkey", "9."),
    "redis7": ("redis", "7."),
    "redis8": ("redis", "8.2."),
    "cluster": ("valkey", "9."),
    "dragonfly": ("valkey", "9."),
}


def info(url: str, section: str) -> dict[str, Any]:
    with redis.Redis.from_url(url) as client:
        found: dict[str, Any] = client.info(section)
        return found


def test_each_kind_answers_with_its_version(server: Server) -> None:
    name, version = VERSIONS[server.kind]
    shown = info(server.url, "server")
    assert shown.get("server_name", "redis") == name
    assert shown.get("valkey_version", shown["redis_version"]).startswith(version)
    mode = shown.get("server_mode", shown.get("redis_mode"))  # Valkey 9 has renamed it
    assert mode == ("cluster" if server.cluster else "standalone")


@pytest.mark.parametrize("server", ["cluster"], indirect=True)
def test_the_cluster_has_three_primaries_and_three_replicas(server: Server) -> None:
    with redis.RedisCluster.from_url(server.url) as client:
        assert len(client.get_primaries()) == 3
        assert len(client.get_replicas()) == 3
        for number in range(30):
            assert client.set(f"reach:{number}", number)


@pytest.mark.parametrize("kind", ["valkey", "redis7", "redis8"])
def test_what_was_acknowledged_survives_a_kill_with_aof(
    kind: str, private_server: Callable[..., ServerProcess]
) -> None:
    server = private_server(kind, aof=True)
    url = server.url
    with server.client() as client:
        client.set("kept", "yes")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("kept")
        server.start()
        assert client.get("kept") == b"yes"
    assert server.url == url


def test_a_server_without_aof_forgets(private_server: Callable[..., ServerProcess]) -> None:
    server = private_server(aof=False)
    with server.client() as client:
        client.set("kept", "no")
        server.restart()
        assert client.get("kept") is None


def test_a_paused_server_is_silent_until_it_is_resumed(private_server: Callable[..., ServerProcess]) -> None:
    server = private_server()
    with server.client() as patient, server.client(socket_timeout=0.2) as client:
        assert patient.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert patient.ping()
        server.pause()
    server.stop()


def test_a_replica_takes_over_from_a_killed_primary(private_cluster: Callable[..., Cluster]) -> None:
    cluster = private_cluster()
    replica = cluster.nodes[3]
    cluster.nodes[0].kill()
    replica.wait_for(lambda: info(replica.url, "replication")["role"] == "master", "the replica to take over")


def test_servers_die_with_the_process_that_started_them(
    binary: Callable[[str], Path], tmp_path: Path
) -> None:
    program = (
        "import os, sys, signal; from pathlib import Path; from tests.servers import ServerProcess\n"
        "print(ServerProcess(Path(sys.argv[1]), Path(sys.argv[2])).start().pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(binary("valkey")), str(tmp_path)],
        stdout=subprocess.PIPE,
        check=False,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        pidfd = os.pidfd_open(int(killed.stdout))
    except ProcessLookupError:
        return
    # Readable once the process has ended; a server left alive makes the test time out.
    select.select([pidfd], [], [])
    os.close(pidfd)


def test_rng_repeats(rng: random.Random, request: pytest.FixtureRequest) -> None:
    again = random.Random(f"{request.config.option.seed} {request.node.nodeid}")
    assert [rng.random() for _ in range(3)] == [again.random() for _ in range(3)]
