"""uvicorn, as this API runs it: two ports, an end on SIGTERM at which nothing is dropped, no file too few."""

import asyncio
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from riptide.api.app import create_app, create_probe
from riptide.api.connections import connection_of
from riptide.config import Loaded
from riptide.errors import ConfigError
from riptide.logger import get_logger

STOPPED_AT_ONCE = 130
# Of the time for stopping, to close what is open when all requests are answered.
_CLOSING_SECONDS = 2.0
_LEAST_SECONDS = 0.5
# Open in a process besides connections, about.
_OTHER_FILES = 256
_BACKLOG = 2048
_log = get_logger("riptide.api")


def serve(loaded: Loaded) -> None:
    """Answer requests until SIGTERM or SIGINT. Raises ConfigError where it cannot listen."""
    settings = loaded.settings.api
    sockets = [_listening("api.host, api.port", settings.host, settings.port)]
    if settings.probe_port is not None:
        where = "api.probe_host, api.probe_port"
        sockets.append(_listening(where, settings.probe_host, settings.probe_port))
    loaded = _within_files(loaded)
    server = Server(create_app(loaded), loaded, sockets)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.told_outside)
    server.run(sockets[:1])


class Server(uvicorn.Server):
    """Stops when it is told to: refuses new connections, answers what is under way, tells those who wait for
    a command how it stands."""

    def __init__(self, app: FastAPI, loaded: Loaded, sockets: list[socket.socket]) -> None:
        self._app, self._settings = app, loaded.settings
        self._probe = create_probe(app) if len(sockets) > 1 else None
        self._sockets = sockets
        self._stop: Callable[[], object] = lambda: None
        super().__init__(self._config(app))

    def _config(self, app: object, *, lifespan: bool = True) -> uvicorn.Config:
        api = self._settings.api
        return uvicorn.Config(
            app,  # type: ignore[arg-type]
            http=connection_of(api),
            ws="none",
            lifespan="on" if lifespan else "off",
            log_config=None,
            access_log=False,
            proxy_headers=bool(api.trusted_proxies),
            forwarded_allow_ips=list(api.trusted_proxies),
            server_header=False,
            root_path=api.root_path,
            timeout_keep_alive=api.keep_alive_seconds,
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._stop = partial(loop.call_soon_threadsafe, self._app.state.desk.stopping.set)
        if self.should_exit:  # told so a moment ago
            self._stop()
        names = ["api"]
        if self._probe is not None:
            config = self._config(self._probe, lifespan=False)
            config.load()
            make = partial(connection_of(self._settings.api), config, self.server_state, {})
            self.servers.append(await loop.create_server(make, sock=self._sockets[1], backlog=_BACKLOG))
            names.append("probe")
        for name, listener in zip(names, self._sockets, strict=True):
            host, port = listener.getsockname()[:2]
            _log.info("listening", what=name, host=host, port=port)

    def told_outside(self, sig: int, frame: FrameType | None) -> None:
        """For signals before uvicorn takes them, and after: when it has stopped it sends itself what it was
        sent, which is to change nothing."""
        if not self.should_exit:
            self.handle_exit(sig, frame)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os.write(2, b"second signal: stopping at once\n")
            os._exit(STOPPED_AT_ONCE)
        os.write(2, b"stopping when all requests are answered; a second signal stops at once\n")
        super().handle_exit(sig, frame)
        settings = self._app.state.riptide.settings if self.started else self._settings
        whole = settings.state.shutdown_timeout_seconds
        seconds = max(_LEAST_SECONDS, whole - _CLOSING_SECONDS)
        if not settings.state.enable_graceful_shutdown:
            seconds = 0.0
        self.config.timeout_graceful_shutdown = seconds  # type: ignore[assignment] # a part of one will do
        self._stop()
        last = threading.Timer(whole, _leave_behind)
        last.daemon = True
        last.start()


def _leave_behind() -> None:
    os.write(2, b"something does not end: it is left behind\n")
    os._exit(0)


def _listening(what: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"{what}: cannot listen on {host}, port {port}: {error.strerror or error}"
        ) from None
    made.setblocking(False)
    return made


def _within_files(loaded: Loaded) -> Loaded:
    """Let the process open enough files, where it may, and take no more connections than it has files for:
    one too many would lock all others out."""
    settings = loaded.settings
    files = settings.api.max_connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= files:
        return loaded
    if hard == resource.RLIM_INFINITY or hard >= files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        return loaded
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = max(1, hard - _OTHER_FILES)
    _log.warning("fewer connections than api.max_connections: see LimitNOFILE, ulimit -n", connections=most)
    api = settings.api.model_copy(update={"max_connections": most})
    return replace(loaded, settings=settings.model_copy(update={"api": api}))
