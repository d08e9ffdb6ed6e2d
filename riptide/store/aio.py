"""The asynchronous store: the same operations and flows, awaited."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import redis.asyncio
from redis.exceptions import NoScriptError

from riptide.config import Settings
from riptide.store import connect
from riptide.store.breaker import Breaker, Guard, breaker_of
from riptide.store.doubt import NotTried, judge, maybe_done, nothing_sent, unsent
from riptide.store.off import AsyncOffTransport
from riptide.store.operation import Batch, Call, Flow, Operation, Pause, Step
from riptide.store.pool import CLOSED, Again, AsyncConnections, cancellable
from riptide.store.probing import AsyncProber
from riptide.store.slowlog import SlowLog
from riptide.store.sync import cluster_errors, settle, translate
from riptide.store.wire import Args, pack

T = TypeVar("T")
_TRIES_WHEN_CLOSED = 3


class AsyncTransport(Protocol):
    async def send(self, args: Args) -> Any: ...

    async def send_all(self, commands: Sequence[Args]) -> list[Any]: ...

    async def close(self) -> None: ...


class AsyncPoolTransport:
    def __init__(
        self,
        connections: AsyncConnections,
        again: Again,
        timeout: float,
        guard: Guard | None = None,
        probe_seconds: float = 1.0,
    ) -> None:
        """`timeout` bounds one try, connecting included, in seconds."""
        self.connections = connections
        self._again = again
        self._timeout = timeout
        guard = guard or Guard()
        self._breaker = guard.of()
        self._prober = AsyncProber(self._probe, probe_seconds)
        guard.start = self._prober.start

    async def send(self, args: Args) -> Any:
        with self._breaker:
            return await self._exchange(pack((args,)), _reply)

    async def send_all(self, commands: Sequence[Args]) -> list[Any]:
        async def read(connection: Any, before: bool) -> list[Any]:
            return [await _reply_or_error(connection, before) for _ in commands]

        with self._breaker:
            return await self._exchange(pack(commands), read)

    async def _exchange(self, packed: list[bytes], read: Callable[[Any, bool], Awaitable[T]]) -> T:
        connection = await self.connections.acquire()
        failures = 0
        before = False  # what an earlier try sent, and nobody answered
        try:
            while True:
                sent = False
                try:
                    # One timeout around it all: redis-py's own, around sending, costs a task each time.
                    async with asyncio.timeout(self._timeout):
                        if not connection.is_connected:
                            await connection.connect()  # sending connects too, but without asking Sentinel
                        sent = True
                        await connection.send_packed_command(packed)
                        return await read(connection, before)
                except redis.ResponseError as error:
                    judge(error, sent=sent, before=before)
                    raise
                except (redis.ConnectionError, redis.TimeoutError, TimeoutError) as raised:
                    await connection.disconnect(nowait=True)
                    failures += 1
                    named = self._named(raised)
                    before = judge(named, sent=sent, before=before)
                    pause = self._again.pause(failures, named)
                    if self._breaker.in_vain(named):
                        raise named from None
                    await asyncio.sleep(pause)
                    if self.connections.closed:
                        raise named from None
                except BaseException:
                    await connection.disconnect(nowait=True)  # cancelled: a reply may still come
                    raise
        finally:
            if self.connections.closed:
                await connection.disconnect(nowait=True)
            self.connections.release(connection)

    def _named(self, error: Exception) -> Exception:
        if isinstance(error, redis.RedisError):
            return error
        return redis.TimeoutError(f"timeout, no answer within {self._timeout:g} s")

    async def _probe(self, _: Breaker) -> None:
        connection = self.connections.make()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
                await connection.send_command("PING")
                await connection.read_response()
        except (redis.ResponseError, redis.AuthenticationError):
            pass  # it answers
        finally:
            await connection.disconnect(nowait=True)

    async def close(self) -> None:
        await self._prober.stop()
        await self.connections.close()


async def _reply(connection: Any, _before: bool) -> Any:
    return await connection.read_response()


async def _reply_or_error(connection: Any, before: bool) -> Any:
    try:
        return await connection.read_response()
    except redis.ResponseError as error:
        judge(error, sent=True, before=before)
        return error


class AsyncClusterTransport:
    """`size` calls at a time at most: with hundreds of them redis-py's cluster client opens as many
    connections."""

    def __init__(
        self,
        client: "redis.asyncio.RedisCluster",
        size: int,
        guard: Guard | None = None,
        probe_seconds: float = 1.0,
    ) -> None:
        self.client = client
        self._places = asyncio.Semaphore(size)
        self._closed = False
        self._guard = guard or Guard()
        self._prober = AsyncProber(self._probe, probe_seconds)
        self._guard.start = self._prober.start

    async def send(self, args: Args) -> Any:
        with breaker_of((args,), self.client, self._guard):
            return await self._call(lambda: self.client.execute_command(*args))

    async def send_all(self, commands: Sequence[Args]) -> list[Any]:
        with breaker_of(commands, self.client, self._guard):
            return await self._call(lambda: self._pipeline(commands))

    async def _pipeline(self, commands: Sequence[Args]) -> list[Any]:
        async with self.client.pipeline() as pipe:
            for args in commands:
                pipe.execute_command(*args)
            return list(await pipe.execute(raise_on_error=False))

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        self._refuse_if_closed()
        async with self._places:
            self._refuse_if_closed()
            try:
                return await self._carry_out(call)
            finally:
                if self._closed:
                    await self._disconnect()  # what was on its way may have connected anew

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise unsent(NotTried(CLOSED))

    async def _carry_out(self, call: Callable[[], Awaitable[T]]) -> T:
        with cluster_errors(), cancellable():
            # Before it knows the slots redis-py asks any node, and closes all connections after a few MOVED.
            with nothing_sent(), cluster_errors():
                await self.client.initialize()
            for _ in range(_TRIES_WHEN_CLOSED):
                # When one connection fails, redis-py closes those that others are using: an AttributeError
                # there.
                with contextlib.suppress(AttributeError):
                    return await call()
        raise redis.ConnectionError("connections to the cluster were closed while they were in use")

    async def _probe(self, breaker: Breaker) -> None:
        await self._carry_out(lambda: self.client.execute_command("EXISTS", breaker.key))

    async def close(self) -> None:
        """Close all; what is on its way may end first."""
        self._closed = True
        await self._prober.stop()
        await self.client.aclose()
        await self._disconnect()

    async def _disconnect(self) -> None:
        """After a connection has failed `aclose` does nothing until the client is initialized again."""
        for attribute in ("nodes_cache", "startup_nodes"):
            await self.client.nodes_manager.aclose(attribute)


class AsyncStore:
    """Runs operations on a server. Belongs to one event loop."""

    def __init__(
        self, transport: AsyncTransport, max_pipeline: int, slow_log: SlowLog, guard: Guard | None = None
    ) -> None:
        self.transport = transport
        #: What is known of servers that do not answer.
        self.guard = guard or Guard()
        #: Whether it sends nothing, because persistence is switched off.
        self.off = isinstance(transport, AsyncOffTransport)
        #: Whether keys of different slots need calls of their own.
        self.clustered = isinstance(transport, AsyncClusterTransport)
        self._max_pipeline = max_pipeline
        self._slow_log = slow_log

    async def run(self, operation: Operation[T]) -> T:
        """Send one operation; raise ServerUnavailable when the server cannot be reached."""
        started = time.perf_counter()
        try:
            reply = await self.transport.send(operation.args)
        except NoScriptError as error:
            reply = await self._teach(operation, maybe_done(error))
        except redis.RedisError as error:
            await _let_others_run(error)
            raise translate(error) from error
        if (seconds := time.perf_counter() - started) > self._slow_log.threshold:
            self._slow_log.note(operation, seconds)
        return settle(operation, reply)

    async def run_all(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Send several in one round trip (one per server, and per `redis.max_pipeline_size`); raise the
        first error, after all were carried out."""
        replies: list[Any] = []
        try:
            for start in range(0, len(operations), self._max_pipeline):
                part = operations[start : start + self._max_pipeline]
                replies += await self.transport.send_all([operation.args for operation in part])
        except redis.RedisError as error:
            judge(error, sent=False, before=bool(replies) or maybe_done(error))
            await _let_others_run(error)
            raise translate(error) from error
        several = len(operations) > 1
        pairs = [
            (
                operation,
                await self._teach(operation, several or maybe_done(reply))
                if isinstance(reply, NoScriptError)
                else reply,
            )
            for operation, reply in zip(operations, replies, strict=True)
        ]
        return [settle(operation, reply) for operation, reply in pairs]

    async def drive(self, flow: Flow[T]) -> T:
        """Run a flow to its end, sleeping and calling on its behalf."""
        answer: Any = None
        error: BaseException | None = None
        while True:
            try:
                step = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as stop:
                value: T = stop.value
                return value
            answer, error = None, None
            try:
                answer = await self._take(step)
            except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - as in the other
                error = raised

    async def _take(self, step: Step) -> Any:
        match step:
            case Operation():
                return await self.run(step)
            case Batch():
                return await self.run_all(step.operations)
            case Call():
                value = step.function()
                return await value if inspect.isawaitable(value) else value
            case Pause():
                return await asyncio.sleep(step.seconds)

    async def _teach(self, operation: Operation[Any], before: bool) -> Any:
        """`before`: it, or a part of what was sent with it, may have been carried out already."""
        assert operation.script is not None
        try:
            return await self.transport.send(operation.script.full(operation.args))
        except redis.ResponseError as error:
            judge(error, sent=False, before=before or maybe_done(error))
            return error
        except redis.RedisError as error:
            judge(error, sent=False, before=before or maybe_done(error))
            raise translate(error) from error

    async def close(self) -> None:
        await self.transport.close()


async def _let_others_run(error: Exception) -> None:
    """Whoever is refused at once, and asks again at once, must not keep the loop from what would help."""
    if isinstance(error, NotTried):
        await asyncio.sleep(0)


def open_async_store(settings: Settings, *, guarded: bool = False) -> AsyncStore:
    """Make a store; the first operation connects. A `guarded` one has a circuit breaker."""
    limits = settings.redis.max_pipeline_size, SlowLog(settings.performance)
    if not settings.enable_persistence:
        return AsyncStore(AsyncOffTransport(), *limits)
    target = connect.parse_url(settings.redis)
    guard = Guard(settings.redis.breaker_failures if guarded else 0)
    seconds = settings.redis.breaker_seconds
    transport: AsyncTransport
    if target.shape == "cluster":
        client = connect.async_cluster(settings.redis, target)
        transport = AsyncClusterTransport(client, settings.redis.pool_size, guard, seconds)
    else:
        pool, again = connect.async_pool(settings.redis, target), connect.again(settings.redis)
        timeout = settings.redis.command_timeout_ms / 1000
        transport = AsyncPoolTransport(pool, again, timeout, guard, seconds)
    return AsyncStore(transport, *limits, guard)
