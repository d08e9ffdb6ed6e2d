"""Starts what the demo needs: embedded server, origin, the Procfile's workers; ends them in reverse order."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import redis
from honcho.environ import parse_procfile

from riptide import RipTide, connect, log
from riptide.api.access.access import SyncAccess
from riptide.config import LogSettings
from riptide.config.names import ENVIRONMENT
from riptide.errors import TenantExists
from riptide.store.embedded import EmbeddedServer, make_directory
from riptide.store.keys import Keys
from scripts.demo.addresses import HOST, free_port, remembered_port, server_socket
from scripts.demo.children import Child, adopt_orphans, end_orphans
from scripts.demo.members import Member, members
from scripts.demo.origin import TENANTS, Origin
from scripts.demo.stop import Stop

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config/persistence.yml"
DATA = ROOT / ".riptide"

_BIN = Path(sys.executable).parent
_DEMO = DATA / "demo"
_PAGES = _DEMO / "pages"
_LOOK_SECONDS = 0.05
_PATIENCE = 10.0
_WORKERS_PATIENCE = 15.0  # honcho itself ends them after 5


class Deployment:
    """Everything that runs, as a context manager. `tell` is told what is being waited for.

    Entering raises Stopped, OSError, or ChildFailed with the reason that a program gave.
    """

    def __init__(self, stop: Stop, tell: Callable[[str], None]) -> None:
        self._stop, self._tell = stop, tell
        self._stack = ExitStack()
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all that was started, the last one first."""
        self._tell("stopping workers, origin and server")
        self._stack.close()

    def check(self) -> None:
        """Raise ChildFailed if one of the programs has ended."""
        for child in self._children:
            child.check()

    def members(self) -> list[Member]:
        return members(self._client, self.keys, self.rt.settings.workers.lease_seconds)

    def serve_api(self) -> str:
        """Start the HTTP API; answers its address."""
        # Its first key would stand in a log here; 'riptide access create' makes those that somebody wants.
        SyncAccess(self.rt).first(actor="scripts/run")
        port = free_port()
        command = [str(_BIN / "riptide"), "api", "--host", HOST, "--port", str(port)]
        child = Child("api", command, _DEMO / "api.log", cwd=ROOT, env=os.environ)
        self._start(child, lambda: "listening" in child.says())
        return f"http://{HOST}:{port}"

    @contextmanager
    def empty(self) -> Iterator[RipTide]:
        """Another server, with nothing in it, for as long as the block lasts; the blob store is the same."""
        with (
            TemporaryDirectory(dir=_DEMO) as directory,
            EmbeddedServer(directory, port=free_port()) as server,
            connect(server.url, config=CONFIG) as rt,
        ):
            yield rt

    def _start_all(self) -> None:
        log.configure(LogSettings(level="error"))  # lines in between would tear the table
        make_directory(DATA)
        _PAGES.mkdir(parents=True, exist_ok=True)
        adopt_orphans()
        self._stack.callback(end_orphans)
        socket = server_socket(DATA)
        server = EmbeddedServer(DATA, unixsocket=socket, port=None if socket else free_port())
        self.url = server.url
        self._tell("starting the embedded server")
        # Before all else: it is refused if the directory, and with it all that follows, is another run's.
        self._start_server(server)
        port = remembered_port(_DEMO / "port")
        self._tell("starting the origin: python -m pydoc")
        self._start_origin(port)
        self._tell("starting the workers of the Procfile")
        self._start_workers(_environment(self.url, port))

    def _start_server(self, server: EmbeddedServer) -> None:
        where = (
            ["--unixsocket", str(server.unixsocket)] if server.unixsocket else ["--port", str(server.port)]
        )
        command = [str(_BIN / "riptide"), "redis", "--dir", str(DATA), *where]
        self._client = self._stack.enter_context(redis.Redis.from_url(self.url))
        child = Child("server", command, _DEMO / "server.log", cwd=ROOT, env=os.environ)
        self._start(child, lambda: self._answers(child))

    def _answers(self, server: Child) -> bool:
        """Whether that server answers, and not another one on the same socket."""
        try:
            return bool(self._client.info("server")["process_id"] == server.pid)
        except (redis.ConnectionError, redis.TimeoutError):  # still loading is a ConnectionError too
            return False

    def _start_origin(self, port: int) -> None:
        command = [sys.executable, "-u", "-m", "pydoc", "-n", HOST, "-p", str(port)]
        # It reads every module anew for every page; a compiled file would hide a change within its second.
        env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        child = Child("origin", command, _DEMO / "origin.log", cwd=_PAGES, env=env)
        self._start(child, lambda: "ready at" in child.says())
        self.origin = Origin(HOST, port, _PAGES)

    def _start_workers(self, env: dict[str, str]) -> None:
        os.environ.clear()
        os.environ.update(env)
        self.rt: RipTide = self._stack.enter_context(connect(config=CONFIG))
        self.keys = Keys(self.rt.settings.cache.key_prefix)
        lines = parse_procfile((ROOT / "Procfile").read_text()).processes
        pools = [name for name, line in lines.items() if "riptide worker" in line]
        command = [str(_BIN / "honcho"), "--no-colour", "--env", os.devnull, "start", *pools]
        child = Child("workers", command, _DEMO / "workers.log", cwd=ROOT, env=env)
        self._start(child, lambda: len(self.members()) >= len(pools), _WORKERS_PATIENCE)
        for tenant in TENANTS:
            with suppress(TenantExists):  # from an earlier run
                self.rt.tenants.create(tenant)

    def _start(self, child: Child, ready: Callable[[], bool], patience: float = _PATIENCE) -> None:
        self._children.append(child)
        self._stack.callback(child.stop, patience)
        while not ready():
            child.check()
            self._stop.pause(_LOOK_SECONDS)


def _environment(url: str, origin_port: int) -> dict[str, str]:
    """The caller's environment with the demo's own server, the shipped configuration, `.venv/bin` first."""
    foreign = {*ENVIRONMENT, "REDIS_USERNAME", "REDIS_PASSWORD", "RIPTIDE_ADMIN_KEY"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {
        "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "RIPTIDE_CONFIG": str(CONFIG),
        "REDIS_URL": url,
        "BLOBS_URL": str(DATA / "blobs"),
        "CACHE_LOADER_ALLOWED_HOSTS": f"{HOST}:{origin_port}",
    }
