"""A real Sentinel on loopback, with a primary and a replica that it watches."""

import time
from pathlib import Path
from typing import Any, Self

import redis

from tests.servers.process import ServerProcess

SERVICE = "mymaster"


class SentinelProcess(ServerProcess):
    """A Sentinel that watches the primary at `watched` (a port on loopback), alone and so with quorum 1."""

    def __init__(self, binary: Path, directory: Path, watched: int) -> None:
        super().__init__(binary, directory)
        self._watched = watched

    def _arguments(self) -> list[str]:
        # Sentinel writes what it learns into its file, so it takes no settings from the command line.
        file = self.directory / "sentinel.conf"
        file.write_text(
            f"bind 127.0.0.1\nport {self.port}\ndir {self.directory}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._watched} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 5000\n"
            f"sentinel failover-timeout {SERVICE} 10000\n",
            "utf-8",
        )
        return [str(file), "--sentinel"]


class Sentinel:
    """Two servers, the first of which begins as the primary, and the Sentinel that may swap them."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self.nodes = [
            ServerProcess(binary, directory / f"node{number}", repl_ping_replica_period=1)
            for number in range(2)
        ]
        self.sentinel: SentinelProcess

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{SERVICE}"

    @property
    def primary(self) -> ServerProcess:
        """Which of the servers Sentinel sends clients to."""
        _, port = _ask(self.sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(node for node in self.nodes if node.port == int(port))

    def start(self) -> Self:
        """Start all three, and wait until Sentinel could make the replica the primary."""
        first, second = (node.start() for node in self.nodes)
        with second.client() as client:
            client.replicaof("127.0.0.1", str(first.port))
        second.wait_for(lambda: _follows(second), "the replica to be linked")
        self.sentinel = SentinelProcess(self._binary, self._directory / "sentinel", first.port)
        self.sentinel.start()
        # Otherwise it leaves the old primary alone for eight seconds.
        _ask(self.sentinel, "SENTINEL", "DEBUG", "INFO-PERIOD", 200, "PUBLISH-PERIOD", 100)
        self.sentinel.wait_for(self._has_replica, "Sentinel to know the replica")
        return self

    def replicate(self) -> int:
        """Wait until the replica has all that was acknowledged until now; answers when that was, in ns of the
        monotonic clock."""
        since = time.monotonic_ns()
        with self.primary.client() as client:
            client.set("sentinel:mark", "what came before this is not lost")
            client.wait(1, 30_000)
        return since

    def fail_over(self) -> None:
        """SENTINEL FAILOVER, and wait until the servers have changed places."""
        old = self.primary
        new = next(node for node in self.nodes if node is not old)
        self.replicate()
        self.sentinel.wait_for(self._begin, "Sentinel to begin")
        self.sentinel.wait_for(lambda: self.primary is new, "Sentinel to have made the replica the primary")
        old.wait_for(lambda: _follows(old), "the old primary to follow the new one")

    def stop(self) -> None:
        """End all at once; their data is thrown away."""
        for process in (*self.nodes, *([self.sentinel] if hasattr(self, "sentinel") else [])):
            process.kill()

    def _has_replica(self) -> bool:
        with self.sentinel.client() as client:
            replicas = client.sentinel_slaves(SERVICE)
        return any(row["flags"] == "slave" and row["master-link-status"] == "ok" for row in replicas)

    def _begin(self) -> bool:
        try:
            _ask(self.sentinel, "SENTINEL", "FAILOVER", SERVICE)
        except redis.ResponseError as error:
            if "NOGOODSLAVE" in str(error):  # it has not heard of the replica for a moment
                return False
            raise
        return True


def _follows(node: ServerProcess) -> bool:
    try:
        with node.client() as client:
            state = client.info("replication")
    except redis.ConnectionError:  # who becomes a replica cuts its clients
        return False
    return bool(state["role"] == "slave" and state["master_link_status"] == "up")


def _ask(node: ServerProcess, *command: str | int) -> Any:
    with node.client() as client:
        connection = client.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response()  # redis-py's SENTINEL FAILOVER hides what went wrong
        finally:
            client.connection_pool.release(connection)
