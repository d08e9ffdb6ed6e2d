"""The HTTP API: an operator's GET of a tenant.

Floor: a bare FastAPI route that does the same HGETALL by redis-py's asynchronous client and answers it, under
uvicorn on the same machine, asked on one kept-alive connection. RipTide's request carries an API key, which
is checked on the server each time, passes the bounds on what a request may take, and answers the tenant with
its entity tag.
"""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from riptide.api.access.text import new_id, new_text
from scripts.bench import harness

TIMES, TENANT = 500, "acme"
ROOT = Path(__file__).parents[2]
_BARE = """
import sys
import redis.asyncio
import uvicorn
from fastapi import FastAPI

app = FastAPI()
client = redis.asyncio.Redis.from_url(sys.argv[1], decode_responses=True)

@app.get("/tenants/{tenant}")
async def show(tenant: str) -> dict[str, str]:
    return await client.hgetall(f"bench:registry:{{{tenant}}}")

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False, timeout_keep_alive=600)
"""


@contextmanager
def running(*command: str, port: int, **environment: str) -> Iterator[http.client.HTTPConnection]:
    """A server process, and a connection to it."""
    process = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT)
    try:
        yield _connected(port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _connected(port: int) -> http.client.HTTPConnection:
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.connect()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return connection


def asking(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> float:
    def ask() -> None:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:500]!r}")

    ask()
    return harness.p50_us(ask, TIMES)


def compare(url: str, rounds: int, directory: Path) -> harness.Comparison:
    key = new_text(new_id(None))
    settings = harness.settings(url, "bench", tenants=True)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create(TENANT, plan="basic", name="Acme", owner={"email": "ops@acme.example"})
    port, bare_port = harness.free_port(), harness.free_port()
    content = {
        "redis": {"url": url},
        "cache": {"key_prefix": "bench"},
        "tenant": {"enabled": True},
        "api": {"port": port, "admin_key": key, "keep_alive_seconds": 600},
        "log": {"level": "warning"},
    }
    config = directory / "bench.yml"
    config.write_text(yaml.safe_dump({"persistence": content}))
    bare = directory / "bare.py"
    bare.write_text(_BARE)
    program = str(Path(sys.executable).with_name("riptide"))
    found = harness.Comparison("admin GET of a tenant", "bare FastAPI, HGETALL", "us, p50", reach="<= 1.3")
    with (
        running(sys.executable, str(bare), url, str(bare_port), port=bare_port) as floor,
        running(program, "api", port=port, RIPTIDE_CONFIG=str(config)) as ours,
    ):
        headers = {"Authorization": f"Bearer {key}"}
        _until_let_in(ours, headers)
        harness.interleave(
            rounds,
            found,
            lambda: asking(floor, f"/tenants/{TENANT}", {}),
            lambda: asking(ours, f"/admin/tenants/{TENANT}", headers),
        )
    return found


def _until_let_in(connection: http.client.HTTPConnection, headers: dict[str, str]) -> None:
    """The first key is made when the API begins."""
    while True:
        connection.request("GET", "/health/ready", headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            return
        time.sleep(0.2)


def main() -> None:
    chosen = harness.options(__doc__, rounds=7)
    with (
        harness.server(same_cpu=chosen.same_cpu) as url,
        tempfile.TemporaryDirectory() as directory,
    ):
        harness.report([compare(url, chosen.rounds, Path(directory))])


if __name__ == "__main__":
    main()
