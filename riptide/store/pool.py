"""Checked-out connections, bounded. redis-py makes them and speaks on them; its own pools cost a fifth of
a round trip each time.

A connection is not probed before it is used: every operation can be repeated, so one that died in the
meantime fails and is made anew.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis.asyncio
from redis.backoff import AbstractBackoff

from riptide.store.doubt import NotTried, unsent

BUSY = "all {} connections have been busy for {:g} s; redis.pool_size bounds them"
CLOSED = "the connections have been closed"


class Connections:
    """For threads. A forked child starts with none of its parent's."""

    def __init__(
        self,
        make: Callable[[], Any],
        size: int,
        patience_seconds: float,
        sentinels: Sequence[redis.Redis] = (),
    ) -> None:
        #: Makes a connection that is not counted and belongs to the caller.
        self.make = make
        self._size = size
        self._patience = patience_seconds
        self._sentinels = sentinels
        #: From then on whoever still holds a connection must not open it again: nobody would close it.
        self.closed = False
        self._fill()

    def _fill(self) -> None:
        self._process = os.getpid()
        # New in a child too: another thread of the parent may have been waiting, or holding the lock.
        self._waiters = 0
        self._returned = threading.Condition()
        # Places that have no connection yet lie below those that have: the most recently used is taken first.
        self._idle: deque[Any] = deque([None] * self._size)
        self._made: list[Any] = []

    def acquire(self) -> Any:
        """Raises redis.ConnectionError if none becomes free in time, or they have been closed."""
        if self._process != os.getpid():
            self._fill()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._wait()
        if self.closed:
            self.release(connection)
            raise unsent(NotTried(CLOSED))
        if connection is None:
            connection = self.make()
            self._made.append(connection)
        return connection

    def _wait(self) -> Any:
        deadline = time.monotonic() + self._patience
        with self._returned:
            self._waiters += 1
            try:
                while True:
                    try:
                        return self._idle.pop()
                    except IndexError:
                        left = deadline - time.monotonic()
                        if left <= 0:
                            raise unsent(NotTried(BUSY.format(self._size, self._patience))) from None
                        self._returned.wait(left)
            finally:
                self._waiters -= 1

    def release(self, connection: Any) -> None:
        self._idle.append(connection)
        if self._waiters:
            with self._returned:
                self._returned.notify()

    def close(self) -> None:
        """Close all; what is on its way fails."""
        self.closed = True
        for connection in self._made:
            connection.disconnect()
        for sentinel in self._sentinels:
            sentinel.close()


class AsyncConnections:
    """For the tasks of one event loop."""

    def __init__(
        self,
        make: Callable[[], Any],
        size: int,
        patience_seconds: float,
        sentinels: Sequence[redis.asyncio.Redis] = (),
    ) -> None:
        #: Makes a connection that is not counted and belongs to the caller.
        self.make = make
        self._size = size
        self._patience = patience_seconds
        self._sentinels = sentinels
        #: As in the other.
        self.closed = False
        self._idle: deque[Any] = deque([None] * size)
        self._made: list[Any] = []
        self._waiters: deque[asyncio.Future[Any]] = deque()

    async def acquire(self) -> Any:
        """Raises redis.ConnectionError if none becomes free in time, or they have been closed."""
        connection = self._idle.pop() if self._idle else await self._wait()
        if self.closed:
            self.release(connection)
            raise unsent(NotTried(CLOSED))
        if connection is None:
            connection = self.make()
            self._made.append(connection)
        return connection

    async def _wait(self) -> Any:
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._patience):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self.release(waiter.result())  # it came in the moment of giving up
            if isinstance(error, TimeoutError):
                raise unsent(NotTried(BUSY.format(self._size, self._patience))) from None
            raise

    def release(self, connection: Any) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    async def close(self) -> None:
        """Close all; what is on its way fails."""
        self.closed = True
        for connection in self._made:
            with contextlib.suppress(redis.TimeoutError):  # dropped all the same, and the next one's turn
                await connection.disconnect()
        for sentinel in self._sentinels:
            await sentinel.aclose()


class Again:
    """How often and how soon to try again after a connection failed."""

    def __init__(self, attempts: int, backoff: AbstractBackoff) -> None:
        self._attempts = attempts
        self._backoff = backoff

    def pause(self, failures: int, error: Exception) -> float:
        """Seconds to wait after the `failures`-th failure; raises `error` when no further try is due, or
        none would help."""
        if failures > self._attempts or isinstance(error, redis.AuthenticationError):
            raise error
        return float(self._backoff.compute(failures))


@contextlib.contextmanager
def cancellable() -> Iterator[None]:
    """Raise a cancellation that came meanwhile and was lost.

    redis-py sends under `asyncio.wait_for`, and that of Python 3.11 forgets a cancellation that comes when
    everything is already sent: the caller would go on, and wait for the reply.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
