"""A loopback proxy in front of one client process, which counts its Redis calls and strikes at the n-th."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from hiredis import Reader, pack_command

from tests.support.observer import Call

_CHUNK = 1 << 16
_NOTHING = object()

#: before: the call never reaches the server. after: it is carried out, and nothing of the reply comes back.
#: amid: half of the reply comes back.
When = Literal["before", "after", "amid"]


class CallProxy:
    """Stands in front of the server at `url`; `proxy.url` is what the one client connects to.

    Calls for which `counted` is true are counted, over all connections, in `calls`. `strike_at` says at which
    of them what happens: `strike()` is called, then that connection is reset; with `last` all are, and
    nothing is let through any more.
    """

    def __init__(self, url: str, counted: Callable[[Call], bool]) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._counted = counted
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: set[_Pair] = set()
        self._closed = False
        self._number = -1
        self._when: When = "before"
        self._strike: Callable[[], None] = lambda: None
        self._last = False
        self.calls: list[str] = []
        self.struck = threading.Event()
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def strike_at(self, number: int, when: When, strike: Callable[[], None], *, last: bool) -> None:
        """Strike at the counted call `number`, from 0."""
        self._number, self._when, self._strike, self._last = number, when, strike, last

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._close()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would not wake who waits for a client
        self._listener.close()

    def _close(self) -> None:
        self._closed = True
        for pair in list(self._pairs):
            pair.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._closed:
                client.close()
                continue
            with contextlib.suppress(OSError):
                pair = _Pair(client, socket.create_connection(self._target), self)
                self._pairs.add(pair)
                threading.Thread(target=self._serve, args=(pair,), daemon=True).start()

    def _serve(self, pair: "_Pair") -> None:
        with contextlib.suppress(OSError, ValueError):
            pair.pump()
        self._pairs.discard(pair)
        pair.close()

    def due(self, sent: list[Any]) -> When | None:
        """Count a call; answers when to strike if it is the one."""
        call = Call.of(sent)
        if not self._counted(call):
            return None
        with self._lock:
            self.calls.append(call.name)
            return self._when if len(self.calls) - 1 == self._number else None

    @property
    def closed(self) -> bool:
        return self._closed

    def strike(self, pair: "_Pair") -> None:
        if self._last:
            self._closed = True
        self._strike()
        if self._last:
            self._close()
        pair.close()
        self.struck.set()


class _Pair:
    """One connection of the client, and its other half to the server."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: CallProxy) -> None:
        self._client, self._server, self._proxy = client, server, proxy
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = Reader(notEnoughData=_NOTHING)
        self._replies = Reader(notEnoughData=_NOTHING)
        self._outstanding = 0

    def pump(self) -> None:
        """Until one side ends, or the strike falls."""
        sides = {side.fileno(): side for side in (self._client, self._server)}
        watch = select.poll()  # unlike select it takes any number of a file
        for number in sides:
            watch.register(number, select.POLLIN)
        while not self._proxy.closed:
            for source in [sides[number] for number, _ in watch.poll(1000)]:
                data = source.recv(_CHUNK)
                if not data or self._proxy.closed:
                    return
                if source is self._server:
                    self._count_replies(data)
                    self._client.sendall(data)
                elif not self._forward(data):
                    return

    def _forward(self, data: bytes) -> bool:
        """False if the strike fell."""
        self._requests.feed(data)
        while (request := self._requests.gets()) is not _NOTHING:
            when = self._proxy.due(request)
            if when == "before":
                self._proxy.strike(self)
                return False
            self._outstanding += 1
            self._server.sendall(pack_command(tuple(request)))
            if when is not None:
                reply = self._await_reply()
                if when == "amid":
                    self._client.sendall(reply[: len(reply) // 2])
                self._proxy.strike(self)
                return False
        return True

    def _count_replies(self, data: bytes) -> None:
        self._replies.feed(data)
        while self._replies.gets() is not _NOTHING:
            self._outstanding -= 1

    def _await_reply(self) -> bytes:
        """What the server says until it has answered everything."""
        said = b""
        while self._outstanding > 0:
            data = self._server.recv(_CHUNK)
            if not data:
                break
            said += data
            self._count_replies(data)
        return said

    def close(self) -> None:
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                side.close()
