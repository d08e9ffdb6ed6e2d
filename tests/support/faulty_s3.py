"""What stands between a client and an S3, and behaves badly on demand: answers 500, takes its time, breaks
off."""

import http.client
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from riptide.config import BlobsSettings

_ERROR = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
_UNTOLD = {"transfer-encoding", "connection", "content-length"}
Which = Callable[[str, str], bool]


def nothing(_method: str, _path: str) -> bool:
    return False


class FaultyS3:
    """Passes requests on to the S3 of `direct`; `settings` lead here. What befalls which requests, by method
    and path: `fails` are answered by a 500, `hangs` by nothing, `breaks` by half of what there is."""

    def __init__(self, direct: BlobsSettings) -> None:
        assert direct.s3_endpoint is not None
        self.target = urlsplit(direct.s3_endpoint).netloc
        self.fails: Which = nothing
        self.hangs: Which = nothing
        self.breaks: Which = nothing
        self.delay = 0.0
        self.failed = 0
        self.closed = threading.Event()
        outer = self

        class Handler(_Handler):
            faults = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.settings = direct.model_copy(update={"s3_endpoint": url})

    def heal(self) -> None:
        self.fails = self.hangs = self.breaks = nothing
        self.delay = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: FaultyS3

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        faults, what = self.faults, (self.command, self.path)
        if faults.delay:
            time.sleep(faults.delay)
        if faults.hangs(*what):
            faults.closed.wait()
            self.close_connection = True
            return
        if faults.fails(*what):
            faults.failed += 1
            self._answer(500, {"Content-Type": "application/xml"}, _ERROR)
            return
        upstream = http.client.HTTPConnection(faults.target)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            reply = upstream.getresponse()
            self._answer(reply.status, dict(reply.getheaders()), reply.read(), reply.headers)
        finally:
            upstream.close()

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes, given: http.client.HTTPMessage | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _UNTOLD:
                self.send_header(name, value)
        # What a HEAD is told is the length of what it does not get.
        length = given["Content-Length"] if given and self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if status in {200, 206} and self.faults.breaks(self.command, self.path):
            data = data[: len(data) // 2]  # who asks for the rest gets half of that
            self.close_connection = True
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815
