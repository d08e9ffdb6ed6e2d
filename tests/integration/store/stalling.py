"""A proxy that stops in the middle of a reply."""

import socket
import threading

from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE


class Stalling(Proxy):
    """The first reply that contains `hold` is sent by half; `held` is set, and the rest waits for `go`."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.hold: bytes | None = None
        self.held = threading.Event()
        self.go = threading.Event()
        #: Seconds after which the rest is sent anyhow.
        self.patience = PATIENCE

    def _forward(self, data: bytes, reply: bool, client: socket.socket, server: socket.socket) -> bool:
        if not reply or self.hold is None or self.hold not in data:
            return super()._forward(data, reply, client, server)
        self.hold = None
        half = len(data) // 2
        client.sendall(data[:half])
        self.held.set()
        self.go.wait(self.patience)
        client.sendall(data[half:])
        return True
