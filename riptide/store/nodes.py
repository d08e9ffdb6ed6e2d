"""A connection to every node that holds keys. For tools that look at servers rather than at keys."""

from contextlib import ExitStack
from typing import Any, Self

import redis

from riptide.config import Settings
from riptide.store import connect
from riptide.store.sync import cluster_errors, translate


class Nodes:
    """Connections of its own, one to each node; to be closed."""

    def __init__(self, settings: Settings, *, whole: bool = True) -> None:
        """Raises ServerUnavailable or ServerRefused, as all of it does; unless it need not be `whole`, also
        for a cluster whose slots are not all served."""
        target = connect.parse_url(settings.redis)
        self.clustered = target.shape == "cluster"
        self._opened = ExitStack()
        try:
            with cluster_errors():
                if self.clustered:
                    self._nodes = self._of_cluster(connect.sync_cluster(settings.redis, target, whole=whole))
                else:
                    self._nodes = {"": connect.sync_pool(settings.redis, target).acquire()}
                for connection in self._nodes.values():
                    self._opened.callback(connection.disconnect)
                    connection.connect()
        except redis.RedisError as error:
            self._opened.close()
            raise translate(error) from error

    def _of_cluster(self, cluster: redis.RedisCluster) -> dict[str, Any]:
        self._opened.callback(cluster.close)
        primaries = {node.name: cluster.get_redis_connection(node) for node in cluster.get_primaries()}
        return {name: client.connection_pool.make_connection() for name, client in primaries.items()}

    @property
    def names(self) -> list[str]:
        """As `host:port`; of a server that is no cluster there is one, without a name."""
        return list(self._nodes)

    def ask(self, node: str, *command: Any) -> Any:
        """The reply of one of them, as RESP2 gives it."""
        try:
            self._nodes[node].send_command(*command)
            return self._nodes[node].read_response()
        except redis.RedisError as error:
            raise translate(error) from error

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
