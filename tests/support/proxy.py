"""A loopback TCP proxy that behaves badly on demand: it cuts connections, in the middle of replies too."""

import contextlib
import random
import select
import socket
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536


class Proxy:
    """Stands in front of the server at `url`; `proxy.url` is what clients connect to.

    `cut_chance` is the probability that a chunk of a reply is cut: a random part of it (perhaps nothing) goes
    through and the connection is reset. `cut()` resets all connections at once; `half_open()` keeps them and
    forwards nothing more over them. Each chunk of a reply waits for `delay` seconds.
    """

    def __init__(self, url: str, rng: random.Random | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._rng = rng or random.Random()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._closed = self._dark = False
        self.cut_chance = 0.0
        self.delay = 0.0
        self._silent: set[tuple[socket.socket, socket.socket]] = set()
        self.cuts = 0
        self.connections = 0
        #: Replies that contain this are swallowed, and their connection is cut; `swallowed` counts them.
        self.swallow: bytes | None = None
        self.swallowed = 0
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would not wake who waits for a client
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset all connections."""
        for pair in list(self._pairs):
            self._end(pair)

    def half_open(self) -> None:
        """Forward nothing more over the connections there are, and leave them open; new ones work."""
        self._silent |= self._pairs

    def swallow_all(self, swallow: bool) -> None:
        """Accept connections and forward nothing, on those there are and on new ones; or forward again, over
        new ones."""
        self._dark = swallow
        self.half_open() if swallow else self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            pair = (client, server)
            if self._dark:
                self._silent.add(pair)
            self._pairs.add(pair)
            threading.Thread(target=self._pump, args=(pair,), daemon=True).start()

    def _pump(self, pair: tuple[socket.socket, socket.socket]) -> None:
        client, server = pair
        with contextlib.suppress(OSError, ValueError):
            while pair in self._pairs:
                watched = [client] if pair in self._silent else [client, server]
                ready, _, _ = select.select(watched, [], [], 1)
                if pair in self._silent:
                    if client in ready and not client.recv(_CHUNK):
                        return self._end(pair)  # the client gave it up
                    continue
                for source in ready:
                    data = source.recv(_CHUNK)
                    if not data or not self._forward(data, source is server, client, server):
                        return self._end(pair)
        return self._end(pair)

    def _forward(self, data: bytes, reply: bool, client: socket.socket, server: socket.socket) -> bool:
        """False if the connection is to be cut."""
        if not reply:
            server.sendall(data)
            return True
        if self.swallow is not None and self.swallow in data:
            self.swallowed += 1
            return False
        if self.delay:
            time.sleep(self.delay)
        with self._lock:
            cut = self._rng.random() < self.cut_chance
            part = self._rng.randrange(len(data)) if cut else len(data)
        client.sendall(data[:part])
        self.cuts += cut
        return not cut

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        self._pairs.discard(pair)
        self._silent.discard(pair)
        for side in pair:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                side.close()
