"""uvicorn's HTTP/1.1 connections, bounded: slow, half-open and endless ones give way, and hold up nobody."""

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from riptide.api.bounds import headers_too_large
from riptide.api.errors import of_status
from riptide.api.problems import Problem
from riptide.config.models.surface import ApiSettings

_MOST_QUEUED = 16  # requests sent ahead on one connection
# In chunks of one byte each a body takes six times its bytes.
_WIRE_BYTES_PER_BYTE = 8
_GRACE_SECONDS = 1.0


class Connection(HttpToolsProtocol):
    """A client that begins a request has so long to send its headers, then so long for the body; one that
    takes nothing of its answer is cut off. Bytes are counted as they come: the parser keeps what has no end.

    `waiting` are those whose headers are not complete, the oldest first; `idle` those between two requests.
    """

    settings: ApiSettings
    waiting: "OrderedDict[Connection, None]"
    idle: "OrderedDict[Connection, None]"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            slow = self.waiting or self.idle
            oldest, _ = slow.popitem(last=False) if slow else (self, None)
            oldest.transport.abort()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        self.waiting.pop(self, None)
        self.idle.pop(self, None)
        self._end_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._received += len(data)
        if self in self.waiting:
            if self._received > self.settings.max_header_bytes + self.settings.max_query_bytes:
                self._refuse(headers_too_large(self.settings))
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()  # something came that is no request yet
        elif self._received > self.settings.max_header_bytes + (
            _WIRE_BYTES_PER_BYTE * self.settings.max_body_bytes
        ):
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received = 0
        self.idle.pop(self, None)
        if self not in self.waiting:
            self._wait()

    def on_headers_complete(self) -> None:
        self.waiting.pop(self, None)
        super().on_headers_complete()
        # The application answers before that, where it reads the body at all.
        self._within(self.settings.body_timeout_seconds + _GRACE_SECONDS)
        if len(self.pipeline) > _MOST_QUEUED:
            self.transport.abort()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._rest()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self.idle[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(self.settings.write_timeout_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(of_status(400, msg))

    def _wait(self) -> None:
        """For the headers of a request, from its first byte, or from the connection's beginning."""
        self.waiting[self] = None
        self._within(self.settings.header_timeout_seconds)

    def _within(self, seconds: float) -> None:
        self._rest()
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _too_slow(self) -> None:
        if self in self.waiting and self._received:
            self._refuse(of_status(408, "the headers were not complete in time"))
        else:
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Nothing can follow on this connection. While an answer is under way another has no place."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        body = problem.body()
        head = [STATUS_LINE[problem.status], b"connection: close\r\n"]
        head += [b"%b: %b\r\n" % pair for pair in problem.raw_headers(body) if pair[0] != b"connection"]
        self.transport.write(b"".join([*head, b"\r\n", body]))
        self.transport.close()


def connection_of(settings: ApiSettings) -> type[Connection]:
    """What uvicorn makes for each connection."""
    return type(
        "BoundedConnection",
        (Connection,),
        {"settings": settings, "waiting": OrderedDict(), "idle": OrderedDict()},
    )
