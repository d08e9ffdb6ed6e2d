"""The names of keys, from every node that holds some. For tools that look at a whole server."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

import redis

from riptide.config import Settings
from riptide.store import connect
from riptide.store.sync import cluster_errors, translate


class Scan:
    """Connections of its own, one to each node; to be closed."""

    def __init__(self, settings: Settings) -> None:
        """Raises ServerUnavailable or ServerRefused, as all of it does."""
        target = connect.parse_url(settings.redis)
        self._opened = ExitStack()
        try:
            with cluster_errors():
                if target.shape == "cluster":
                    self._nodes = self._of_cluster(connect.sync_cluster(settings.redis, target))
                else:
                    self._nodes = [connect.sync_pool(settings.redis, target).acquire()]
                for connection in self._nodes:
                    self._opened.callback(connection.disconnect)
                    connection.connect()
        except redis.RedisError as error:
            self._opened.close()
            raise translate(error) from error

    def _of_cluster(self, cluster: redis.RedisCluster) -> list[Any]:
        self._opened.callback(cluster.close)
        clients = [cluster.get_redis_connection(node) for node in cluster.get_primaries()]
        return [client.connection_pool.make_connection() for client in clients]

    def size(self) -> int:
        """How many keys there are, of everybody."""
        return sum(int(self._ask(node, "DBSIZE")) for node in self._nodes)

    def pages(self, pattern: str, about: int = 500) -> Iterator[tuple[int, list[bytes]]]:
        """How many keys were looked at for it, about, and those that match. A key may come twice."""
        for node in self._nodes:
            cursor: bytes = b"0"
            while True:
                cursor, names = self._ask(node, "SCAN", cursor, "MATCH", pattern, "COUNT", about)
                yield about, names
                if cursor == b"0":
                    break

    def _ask(self, connection: Any, *command: Any) -> Any:
        try:
            connection.send_command(*command)
            return connection.read_response()
        except redis.RedisError as error:
            raise translate(error) from error

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
