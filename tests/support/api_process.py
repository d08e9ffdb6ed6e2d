"""`riptide api` as a process of its own."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from riptide.api.access.text import new_id, new_text
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import RIPTIDE, ROOT, environment, write_config

_LISTENING = re.compile(r'"what": "(api|probe)", "host": "[^"]*", "port": (\d+)')


class ApiProcess:
    """Started on free ports, and asked by `client()` with its admin key."""

    def __init__(
        self, deployment: Deployment, directory: Path, *, url: str | None = None, **sections: dict[str, Any]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.key = new_text(new_id(None))
        sections["api"] = {"port": 0, "admin_key": self.key} | sections.get("api", {})
        sections["log"] = {"format": "json"}
        sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
        config = write_config(directory / "api.yml", **sections)
        self._log = directory / "api.log"
        self._environment = environment(deployment, config, url)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    @property
    def ports(self) -> dict[str, int]:
        return {what: int(port) for what, port in _LISTENING.findall(self.log)}

    @property
    def port(self) -> int:
        return self.ports["api"]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [RIPTIDE, "api"],
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        def listens() -> dict[str, int]:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended:\n{self.log[-6000:]}"
            return self.ports

        try:
            eventually(listens, "the API to listen")
            eventually(self._has_key, "the first key")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            sys.stderr.write(f"--- {self._log.name}\n{self.log[-6000:]}\n")

    def _has_key(self) -> bool:
        """Where there is no server nobody can be let in."""
        with self.client() as client:
            return client.get("/admin/tenants").status_code in {200, 503}

    def client(self, **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        base = f"http://127.0.0.1:{self.port}"
        return httpx.Client(base_url=base, headers=headers, timeout=PATIENCE, trust_env=False, **options)

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def resident_bytes(self) -> int:
        """What the process has in memory now."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) * 1024
