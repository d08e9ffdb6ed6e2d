"""The synchronous store: sends operations, drives flows."""

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import redis
from redis.exceptions import ClusterDownError, NoScriptError, RedisClusterException

from riptide.config import Settings
from riptide.errors import RiptideError, ServerRefused, ServerUnavailable
from riptide.metrics.instruments import PRESSURE
from riptide.store import connect
from riptide.store.breaker import Breaker, Guard, breaker_of
from riptide.store.doubt import NotTried, cause_of, judge, maybe_done, nothing_sent, unsent
from riptide.store.off import OffTransport
from riptide.store.operation import Batch, Call, Flow, Operation, Pause, Step
from riptide.store.pool import BUSY, CLOSED, Again, Connections
from riptide.store.probing import Prober
from riptide.store.slowlog import SlowLog
from riptide.store.wire import Args, pack

T = TypeVar("T")


class Transport(Protocol):
    def send(self, args: Args) -> Any: ...

    def send_all(self, commands: Sequence[Args]) -> list[Any]:
        """Replies in order; an error reply stands in the list as its exception."""
        ...

    def close(self) -> None: ...


class PoolTransport:
    """Standalone and Sentinel: straight to a connection, without the client's reply callbacks."""

    def __init__(
        self, connections: Connections, again: Again, guard: Guard | None = None, probe_seconds: float = 1.0
    ) -> None:
        self._connections = connections
        self._again = again
        guard = guard or Guard()
        self._breaker = guard.of()
        self._prober = Prober(self._probe, probe_seconds)
        guard.start = self._prober.start

    def send(self, args: Args) -> Any:
        with self._breaker:
            return self._exchange(pack((args,)), _reply)

    def send_all(self, commands: Sequence[Args]) -> list[Any]:
        def read(connection: Any, before: bool) -> list[Any]:
            return [_reply_or_error(connection, before) for _ in commands]

        with self._breaker:
            return self._exchange(pack(commands), read)

    def _exchange(self, packed: list[bytes], read: Callable[[Any, bool], T]) -> T:
        """`read` is told too whether an earlier try may have been carried out."""
        connection = self._connections.acquire()
        failures = 0
        before = False  # what an earlier try sent, and nobody answered
        try:
            while True:
                sent = False
                try:
                    if not connection.is_connected:
                        connection.connect()  # sending connects too, but without asking Sentinel
                    sent = True
                    connection.send_packed_command(packed)
                    return read(connection, before)
                except redis.ResponseError as error:
                    judge(error, sent=sent, before=before)
                    raise
                except (redis.ConnectionError, redis.TimeoutError) as error:
                    connection.disconnect()
                    failures += 1
                    before = judge(error, sent=sent, before=before)
                    pause = self._again.pause(failures, error)
                    if self._breaker.in_vain(error):
                        raise
                    time.sleep(pause)
                    if self._connections.closed:
                        raise
                except BaseException:
                    connection.disconnect()  # a reply that was not read must never meet the next command
                    raise
        finally:
            if self._connections.closed:
                connection.disconnect()
            self._connections.release(connection)

    def _probe(self, _: Breaker) -> None:
        connection = self._connections.make()
        try:
            connection.connect()
            connection.send_command("PING")
            connection.read_response()
        except (redis.ResponseError, redis.AuthenticationError):
            pass  # it answers
        finally:
            connection.disconnect()

    def close(self) -> None:
        self._prober.stop()
        self._connections.close()


def _reply(connection: Any, _before: bool) -> Any:
    return connection.read_response()


def _reply_or_error(connection: Any, before: bool) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        judge(error, sent=True, before=before)
        return error


class ClusterTransport:
    """`size` calls at a time at most; who finds no place waits `patience_seconds`, then hears it. The first
    call connects."""

    def __init__(
        self,
        connect: "Callable[[], redis.RedisCluster]",
        size: int,
        patience_seconds: float,
        guard: Guard | None = None,
        probe_seconds: float = 1.0,
    ) -> None:
        self._connect = connect
        self._client: redis.RedisCluster | None = None
        self._size = size
        self._patience = patience_seconds
        self._closed = False
        self._guard = guard or Guard()
        self._prober = Prober(self._probe, probe_seconds)
        self._guard.start = self._prober.start
        self._fill()

    def _fill(self) -> None:
        self._places, self._process = threading.BoundedSemaphore(self._size), os.getpid()
        self._connecting = threading.Lock()

    @contextlib.contextmanager
    def _place(self) -> "Iterator[redis.RedisCluster]":
        if self._process != os.getpid():  # forked while other threads held places
            self._fill()
        self._refuse_if_closed()
        places = self._places
        if not places.acquire(timeout=self._patience):
            raise unsent(NotTried(BUSY.format(self._size, self._patience)))
        try:
            self._refuse_if_closed()
            with cluster_errors():
                yield self._client or self._connected()
        finally:
            if self._closed:
                self._disconnect()  # what was on its way may have connected anew
            places.release()

    def _connected(self) -> "redis.RedisCluster":
        if not self._connecting.acquire(timeout=self._patience):
            raise unsent(NotTried("another call is still trying to connect to the cluster"))
        try:
            if self._client is None:
                with nothing_sent(), cluster_errors():
                    self._client = self._connect()
            return self._client
        finally:
            self._connecting.release()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise unsent(NotTried(CLOSED))

    def send(self, args: Args) -> Any:
        with breaker_of((args,), self._client, self._guard), self._place() as client:
            return client.execute_command(*args)

    def send_all(self, commands: Sequence[Args]) -> list[Any]:
        with (
            breaker_of(commands, self._client, self._guard),
            self._place() as client,
            client.pipeline() as pipe,
        ):
            for args in commands:
                pipe.execute_command(*args)
            return list(pipe.execute(raise_on_error=False))

    def _probe(self, breaker: Breaker) -> None:
        with cluster_errors():
            (self._client or self._connected()).execute_command("EXISTS", breaker.key)

    def close(self) -> None:
        """Close all; what is on its way may end first."""
        self._closed = True
        self._prober.stop()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()


class Store:
    """Runs operations on a server. Safe to share between threads."""

    def __init__(
        self, transport: Transport, max_pipeline: int, slow_log: SlowLog, guard: Guard | None = None
    ) -> None:
        self._transport = transport
        #: What is known of servers that do not answer.
        self.guard = guard or Guard()
        #: Whether it sends nothing, because persistence is switched off.
        self.off = isinstance(transport, OffTransport)
        #: Whether keys of different slots need calls of their own.
        self.clustered = isinstance(transport, ClusterTransport)
        self._max_pipeline = max_pipeline
        self._slow_log = slow_log

    def run(self, operation: Operation[T]) -> T:
        """Send one operation; raise ServerUnavailable when the server cannot be reached."""
        started = time.perf_counter()
        try:
            reply = self._transport.send(operation.args)
        except NoScriptError as error:
            reply = self._teach(operation, maybe_done(error))
        except redis.RedisError as error:
            raise translate(error) from error
        if (seconds := time.perf_counter() - started) > self._slow_log.threshold:
            self._slow_log.note(operation, seconds)
        return settle(operation, reply)

    def run_all(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Send several in one round trip (one per server, and per `redis.max_pipeline_size`); raise the
        first error, after all were carried out."""
        replies: list[Any] = []
        try:
            for start in range(0, len(operations), self._max_pipeline):
                part = operations[start : start + self._max_pipeline]
                replies += self._transport.send_all([operation.args for operation in part])
        except redis.RedisError as error:
            judge(error, sent=False, before=bool(replies) or maybe_done(error))
            raise translate(error) from error
        several = len(operations) > 1
        pairs = [
            (
                operation,
                self._teach(operation, several or maybe_done(reply))
                if isinstance(reply, NoScriptError)
                else reply,
            )
            for operation, reply in zip(operations, replies, strict=True)
        ]
        return [settle(operation, reply) for operation, reply in pairs]

    def drive(self, flow: Flow[T]) -> T:
        """Run a flow to its end, sleeping and calling on its behalf."""
        answer: Any = None
        error: Exception | None = None
        while True:
            try:
                step = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as stop:
                value: T = stop.value
                return value
            answer, error = None, None
            try:
                answer = self._take(step)
            except Exception as raised:  # noqa: BLE001 - the flow decides what to do with it
                error = raised

    def _take(self, step: Step) -> Any:
        match step:
            case Operation():
                return self.run(step)
            case Batch():
                return self.run_all(step.operations)
            case Call():
                return step.function()
            case Pause():
                return time.sleep(step.seconds)

    def _teach(self, operation: Operation[Any], before: bool) -> Any:
        """`before`: it, or a part of what was sent with it, may have been carried out already."""
        assert operation.script is not None
        try:
            return self._transport.send(operation.script.full(operation.args))
        except redis.ResponseError as error:
            judge(error, sent=False, before=before or maybe_done(error))
            return error
        except redis.RedisError as error:
            judge(error, sent=False, before=before or maybe_done(error))
            raise translate(error) from error

    def close(self) -> None:
        self._transport.close()


def settle(operation: Operation[T], reply: Any) -> T:
    """The value of one reply of several; raises what stands there as an exception."""
    if isinstance(reply, Exception):
        raise translate(reply) from reply
    return operation.parse(reply)


@contextlib.contextmanager
def cluster_errors() -> Iterator[None]:
    """redis-py's cluster client has errors that are no RedisError: no node reached, slots nobody serves."""
    try:
        yield
    except RedisClusterException as error:
        cause = error.__cause__
        if isinstance(cause, redis.AuthenticationError):
            raise cause from None
        raise redis.ConnectionError(str(error)) from error


def translate(error: Exception) -> RiptideError:
    """Say in our own terms what redis-py reports: the server refused, or could not be reached."""
    if isinstance(error, redis.ResponseError) and not isinstance(error, ClusterDownError):
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            PRESSURE.add("refused")
        return ServerRefused(str(error), maybe_done=maybe_done(error))
    if isinstance(error, redis.AuthenticationError):
        return ServerUnavailable(
            f"Redis refused the login: {error} "
            "Check redis.username and redis.password, or those in redis.url",
            maybe_done=maybe_done(error),
        )
    return ServerUnavailable(
        f"Redis cannot be reached: {cause_of(error)}; check redis.url and that the server runs",
        maybe_done=maybe_done(error),
    )


def open_store(settings: Settings, *, guarded: bool = False) -> Store:
    """Make a store; the first operation connects. A `guarded` one has a circuit breaker."""
    limits = settings.redis.max_pipeline_size, SlowLog(settings.performance)
    if not settings.enable_persistence:
        return Store(OffTransport(), *limits)
    target = connect.parse_url(settings.redis)
    guard = Guard(settings.redis.breaker_failures if guarded else 0)
    seconds = settings.redis.breaker_seconds
    transport: Transport
    if target.shape == "cluster":
        patience, size = settings.redis.command_timeout_ms / 1000, settings.redis.pool_size
        cluster = functools.partial(connect.sync_cluster, settings.redis, target)
        transport = ClusterTransport(cluster, size, patience, guard, seconds)
    else:
        pool, again = connect.sync_pool(settings.redis, target), connect.again(settings.redis)
        transport = PoolTransport(pool, again, guard, seconds)
    return Store(transport, *limits, guard)
