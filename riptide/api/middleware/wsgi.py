"""For WSGI: Flask, Django."""

import atexit
from collections.abc import Callable, Collection, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any

from riptide.api.middleware.admission import Admission, Options
from riptide.api.middleware.answers import Refused, head_of, rate_fields
from riptide.api.middleware.context import DEFAULT_OPERATION, enter, leave
from riptide.api.middleware.metering import Meter
from riptide.config import Loaded, Settings
from riptide.reads.sync_client import RipTide, connect

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class TenantWSGIMiddleware:
    """Lets requests pass that may; counts what they used. Threads share it, and forked children."""

    def __init__(
        self,
        app: App,
        *,
        rt: RipTide | None = None,
        config: Settings | Loaded | str | Path | None = None,
        keys: bool | None = None,
        tenant_of: Callable[[Environ], str | None] | None = None,
        operation: str | Callable[[Environ], str] = DEFAULT_OPERATION,
        exempt: Collection[str] = (),
        lease: bool | None = None,
    ) -> None:
        """As for `TenantMiddleware`, with an environ in place of the scope. Without `rt` it opens one of its
        own, as `connect` does, and closes it when the process ends. Raises InvalidInput, ConfigError."""
        self._app, self._options = app, Options(keys, tenant_of, operation, exempt, lease)
        self._own = rt is None
        self._rt = rt or connect(config=config)
        self._admission = Admission(self._rt, self._options)
        if self._own:
            atexit.register(self.close)

    def close(self) -> None:
        """Close the client, if it is the middleware's own: it publishes the usage that is noted."""
        if self._own:
            atexit.unregister(self.close)
            self._rt.store.drive(self._admission.end())
            self._rt.close()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._options.open_to_all(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        tenant, authorization = environ.get("HTTP_X_TENANT_ID"), environ.get("HTTP_AUTHORIZATION")
        if authorization is None and "HTTP_X_API_KEY" in environ:
            authorization = f"Bearer {environ['HTTP_X_API_KEY']}"
        named = [] if tenant is None else [tenant]
        flow = self._admission.admit(environ, named, authorization, environ.get("REMOTE_ADDR"))
        try:
            request = self._admission.store.drive(flow)
        except Refused as refused:
            return _refuse(refused, start_response)
        environ["riptide"] = request
        fields = [(name.decode(), value.decode()) for name, value in rate_fields(request.decision)]
        reply = _Reply(
            Meter(self._admission, request),
            start_response,
            fields,
            silent=environ["REQUEST_METHOD"] == "HEAD",
        )
        enter(request.tenant)
        try:
            return reply.run(self._app(environ, reply.start))
        except BaseException:
            reply.close()
            raise


def _refuse(refused: Refused, start_response: StartResponse) -> Iterable[bytes]:
    body = refused.problem.body()
    head = [
        (name.decode(), value.decode()) for name, value in head_of(refused.problem, body, refused.decision)
    ]
    status = HTTPStatus(refused.problem.status)
    start_response(f"{status.value} {status.phrase}", head)
    return [body]


class _Reply:
    """What the app answers, on its way out. The server closes it."""

    def __init__(self, meter: Meter, start: StartResponse, fields: Headers, *, silent: bool) -> None:
        self._meter, self._start, self._fields, self._silent = meter, start, fields, silent
        self._pieces: Iterator[bytes] = iter(())
        self._close: Callable[[], None] | None = None

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Write:
        self._silent = self._silent or status.startswith(("204", "304"))
        all_headers = [*headers, *self._fields]
        write = self._start(status, all_headers, exc_info) if exc_info else self._start(status, all_headers)

        def counted(piece: bytes) -> object:
            done = write(piece)
            self._count(piece)
            return done

        return counted

    def run(self, pieces: Iterable[bytes]) -> "_Reply":
        self._pieces, self._close = iter(pieces), getattr(pieces, "close", None)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Who asks for the next piece has sent the one before."""
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._meter.complete()
            raise
        self._count(piece)
        return piece

    def _count(self, piece: bytes) -> None:
        self._meter.add(0 if self._silent else len(piece))

    def close(self) -> None:
        try:
            if self._close is not None:
                self._close()
        finally:
            leave()
            self._meter.end()
