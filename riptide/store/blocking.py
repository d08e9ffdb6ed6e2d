"""Connections for blocking reads: apart from the pool, with a timeout above BLOCK, never reused after a
cancelled read."""

import asyncio
from typing import Any

import redis
import redis.asyncio

from riptide.store.aio import AsyncClusterTransport, AsyncPoolTransport, AsyncStore
from riptide.store.pool import cancellable
from riptide.store.sync import cluster_errors, translate
from riptide.store.wire import Args, pack

_MARGIN_SECONDS = 5.0


class BlockingConnection:
    """One connection to the server that holds `key` (to any, without a cluster)."""

    def __init__(self, store: AsyncStore, key: str, block_seconds: float) -> None:
        self._store = store
        self._key = key
        self._timeout = block_seconds + _MARGIN_SECONDS
        self._connection: Any = None
        self._helper: Any = None
        self._id = 0
        self._unblocks = True  # as far as is known: DragonflyDB has no CLIENT UNBLOCK
        self._helping = asyncio.Lock()

    async def send(self, commands: list[Args]) -> list[Any]:
        """Replies in order, an error reply as its exception. Raises ServerUnavailable; the next call
        connects anew."""
        try:
            if self._connection is None:
                self._connection = await self._connect()
                await self._connection.send_command("CLIENT", "ID")
                self._id = await self._connection.read_response()
            connection = self._connection
            with cancellable():
                await connection.send_packed_command(pack(commands))
            return [await _read(connection) for _ in commands]
        except redis.RedisError as error:
            await self.close()
            raise translate(error) from error
        except OSError as error:
            await self.close()
            raise translate(redis.ConnectionError(str(error))) from error
        except BaseException:
            await self.close()  # cancelled: the reply may still come, and must not meet the next command
            raise

    async def unblock(self) -> bool:
        """End a read that waits on this connection, as if its time had passed; False if none was waiting, or
        the server ends none before its time."""
        if not self._unblocks:
            return False
        async with self._helping:
            try:
                if self._helper is None:
                    self._helper = await self._connect()
                helper = self._helper  # close() may come in between
                with cancellable():
                    await helper.send_command("CLIENT", "UNBLOCK", self._id)
                return bool(await helper.read_response() == 1)
            except redis.ResponseError:
                self._unblocks = False
                await self.close_helper()
                return False
            except (redis.RedisError, OSError, AttributeError):
                # An AttributeError is what redis-py makes of a connection that close() ended meanwhile.
                await self.close_helper()
                return False
            except BaseException:
                await self.close_helper()  # cancelled: as in send()
                raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        await _disconnect(connection)
        await self.close_helper()

    async def close_helper(self) -> None:
        helper, self._helper = self._helper, None
        await _disconnect(helper)

    async def _connect(self) -> Any:
        transport = self._store.transport
        if isinstance(transport, AsyncPoolTransport):
            connection = transport.connections.make()
        else:
            assert isinstance(transport, AsyncClusterTransport)
            connection = await _to_node(transport.client, self._key)
        # Not read_response(timeout=…): that answers None when the time is up, as an idle BLOCK does.
        connection.socket_timeout = self._timeout
        try:
            with cancellable():
                await connection.connect()
        except BaseException:
            await _disconnect(connection)  # cancelled half-way
            raise
        return connection


async def _to_node(client: "redis.asyncio.RedisCluster", key: str) -> Any:
    with cluster_errors():
        await client.execute_command("EXISTS", key)  # follows a slot that has moved, and remembers it
    node = client.get_node_from_key(key)
    if node is None:
        raise redis.ConnectionError(f"no node of the cluster serves the slot of {key}")
    return node.connection_class(**node.connection_kwargs)


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except redis.exceptions.MovedError:
        raise redis.ConnectionError("the slot has moved to another node") from None
    except redis.ResponseError as error:
        return error


async def _disconnect(connection: Any) -> None:
    if connection is not None:
        await connection.disconnect(nowait=True)
