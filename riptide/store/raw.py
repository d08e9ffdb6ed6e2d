"""Replies as they came, beside what they mean: a connection of its own for whoever copies streams.

An entry that is only copied need not be taken apart and put together again. Belongs to one thread.
"""

from typing import Any

import hiredis
import redis

from riptide.config import Settings
from riptide.store import connect
from riptide.store.sync import cluster_errors, translate
from riptide.store.wire import Args, pack

_READ_BYTES = 256 * 1024


class RawReader:
    """Connects at the first call, on a cluster to the node that holds the key. After an error it connects
    anew."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.redis
        self._target = connect.parse_url(settings.redis)
        self._cluster: redis.RedisCluster | None = None
        self._connections: dict[Any, Any] = {}
        self._buffer = memoryview(bytearray(_READ_BYTES))

    def read(self, key: str, args: Args) -> tuple[bytes, Any]:
        """Send a command about `key`; its reply as it came and as it is understood.

        Raises ServerUnavailable or ServerRefused.
        """
        try:
            with cluster_errors():
                connection = self._connection(key)
                connection.send_packed_command(pack((args,)))
                raw, reply = self._exchange(connection)
        except redis.RedisError as error:
            self.close()
            raise translate(error) from error
        except OSError as error:
            self.close()
            raise translate(redis.ConnectionError(str(error) or type(error).__name__)) from error
        except BaseException:
            self.close()
            raise
        if isinstance(reply, hiredis.ReplyError):
            self.close()  # a slot may have moved to another node
            raise translate(redis.ResponseError(str(reply)))
        return raw, reply

    def close(self) -> None:
        for connection in self._connections.values():
            connection.disconnect()
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None
            self._connections.clear()

    def _exchange(self, connection: Any) -> tuple[bytes, Any]:
        sock = connection._sock  # noqa: SLF001 - there is no public way
        reader: Any = hiredis.Reader()
        raw = bytearray()
        while True:
            count = sock.recv_into(self._buffer)
            if count == 0:
                raise redis.ConnectionError("the server closed the connection")
            raw += self._buffer[:count]
            reader.feed(self._buffer, 0, count)
            reply = reader.gets()
            if reply is not False:
                return bytes(raw), reply

    def _connection(self, key: str) -> Any:
        node = self._node(key)
        if node not in self._connections:
            self._connections[node] = self._make(node)
        connection = self._connections[node]
        if not connection.is_connected:
            connection.connect()
        return connection

    def _node(self, key: str) -> Any:
        if self._target.shape != "cluster":
            return None
        if self._cluster is None:
            self._cluster = connect.sync_cluster(self._settings, self._target)
        node = self._cluster.get_node_from_key(key)
        if node is None:
            raise redis.ConnectionError(f"no node of the cluster serves the slot of {key}")
        return node.name

    def _make(self, node: Any) -> Any:
        if node is None:
            return connect.sync_pool(self._settings, self._target).acquire()  # and never given back
        assert self._cluster is not None
        found: Any = self._cluster.get_node(node_name=node)
        return self._cluster.get_redis_connection(found).connection_pool.make_connection()
