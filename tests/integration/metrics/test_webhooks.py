"""Notices: told once however many look, to a real receiver that is not always there."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import riptide
from riptide.config import PerformanceSettings, Settings, WebhooksSettings
from riptide.reads.webhooks.delivery import signature
from riptide.reads.webhooks.watch import Watch
from riptide.store.operation import Batch, Operation
from riptide.store.sync import open_store
from tests.integration.metrics.conftest import settings_of
from tests.support.deployment import SHORT, Deployment
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

SECRET = "s3cret of the hook"


class Receiver:
    """Answers what it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((dict(self.headers), body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?a=b"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posts]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def hooked(deployment: Deployment, url: str, **sections: Any) -> Settings:
    webhooks = WebhooksSettings.model_validate({"url": url, "secret": SECRET, "check_seconds": 1})
    made = settings_of(deployment, **sections)
    return made.model_copy(update={"webhooks": webhooks, "performance": PerformanceSettings()})


def about(told: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(
        (one["event"], one["tenant"], one.get("resource") or one.get("kind"), one.get("level"))
        for one in told
    )


def test_what_is_published_once_however_many_look(on_valkey: Deployment) -> None:
    settings = hooked(on_valkey, "http://127.0.0.1:1/")
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"active_sessions": 5, "memory_bytes": -1})
        rt.tenants.create("calm")
        for _ in range(4):
            rt.sessions.create("u", tenant="acme")
        rt.tenants.suspend("calm", "unpaid")
        on_valkey.client.xadd(on_valkey.keys.dead("warm", "10"), {"a": "b"})
        on_valkey.client.xadd(on_valkey.keys.dead("notify", "10"), {"a": "b"})
        watches = [Watch(settings, rt.metrics._parts.publisher, f"w{n}") for n in range(3)]
        store = open_store(settings)
        # One dies when it has published the first, before that is marked.
        dying = watches[0].look()
        step = next(dying)
        while not on_valkey.entries("notify"):
            assert isinstance(step, Operation | Batch)
            answer = store.run_all(step.operations) if isinstance(step, Batch) else store.run(step)
            step = dying.send(answer)
        dying.close()
        for watch in watches:
            store.drive(watch.look())
        bodies = [json.loads(fields[b"body"]) for _, _, fields in on_valkey.entries("notify")]
        assert sorted((body["event"], body.get("level"), body.get("share")) for body in bodies) == [
            ("dead_letters", None, None), ("quota", 80, 80), ("suspended", None, None),
        ]  # fmt: skip
        rt.sessions.create("u", tenant="acme")
        assert [store.drive(watch.look()) for watch in watches] == [1, 0, 0]
        store.close()


def test_posted_signed_and_tried_again(on_valkey: Deployment, receiver: Receiver, tmp_path: Path) -> None:
    """The worker that looks and posts is killed in the middle; another goes on."""
    settings = hooked(on_valkey, receiver.url)
    sections = {**SHORT, "webhooks": {"url": receiver.url, "check_seconds": 1}, "tenant": {"enabled": True}}
    receiver.answers = [500, 302]

    def noticed() -> set[tuple[str, int | None]]:
        return {(one["event"], one.get("level")) for one in receiver.told}

    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"active_sessions": 5})
        rt.tenants.create("calm")
        with worker(on_valkey, tmp_path, sections) as first:
            for _ in range(5):
                rt.sessions.create("u", tenant="acme")
            eventually(lambda: receiver.posts, "the first notice")
            first.kill()
        rt.tenants.suspend("calm", "unpaid")
        with worker(on_valkey, tmp_path, sections), worker(on_valkey, tmp_path, sections):
            eventually(
                lambda: {("suspended", None), ("quota", 100)} <= noticed() and not receiver.answers, "both"
            )
            eventually(lambda: on_valkey.at_rest("notify"), "all to be delivered")
    whole = {one["id"]: one for one in receiver.told}
    events = [one["event"] for one in whole.values()]
    assert events.count("suspended") == 1
    quotas = [one["level"] for one in whole.values() if one["event"] == "quota"]
    assert 100 in quotas
    assert len(quotas) == len(set(quotas)) <= 2
    for headers, body in receiver.posts:
        match = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["RipTide-Signature"])
        assert match
        assert signature(SECRET, int(match[1]), body) == match[2]
        assert headers["RipTide-Delivery"] == json.loads(body)["id"]


def worker(deployment: Deployment, directory: Path, sections: dict[str, Any]) -> WorkerProcess:
    made = WorkerProcess(deployment, directory, commands=("notify",), **sections)
    made._environment["WEBHOOKS_SECRET"] = SECRET
    return made
