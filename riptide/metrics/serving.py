"""An endpoint of a process's own, in a thread of its own."""

from threading import Thread
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry, start_http_server

from riptide.metrics.process import registry as own


class Serving:
    """Answers until `close()`. Nobody is asked for a key: let only those reach it who may see it."""

    def __init__(self, server: Any, thread: Thread) -> None:
        self._server, self._thread = server, thread

    @property
    def port(self) -> int:
        port: int = self._server.server_address[1]
        return port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def serve(port: int, host: str = "127.0.0.1", registry: CollectorRegistry = own) -> Serving:
    """Serve `registry` at http://host:port/metrics; port 0 takes a free one. Raises OSError."""
    return Serving(*start_http_server(port, addr=host, registry=registry))
