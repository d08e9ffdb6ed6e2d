"""SIGTERM under load: the process ends with 0, in time, and whatever was accepted is there."""

import socket
import threading
from pathlib import Path

import httpx

from tests.support.api_process import ApiProcess
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually


def test_stopping_under_load_drops_nothing(on_valkey: Deployment, tmp_path: Path) -> None:
    accepted: list[str] = []
    unanswered: list[str] = []
    broken: list[str] = []

    def entries() -> list[tuple[str, str, dict[bytes, bytes]]]:
        return on_valkey.entries("record_usage")

    with ApiProcess(on_valkey, tmp_path) as api:
        with api.client() as client:
            owner = {"owner_email": "a@b.example", "owner_name": "Ada", "billing_plan": "free"}
            made = client.post("/admin/tenants", json={"id": "acme", "name": "Acme", **owner})
            assert made.status_code == 201, made.text

        def load(number: int) -> None:
            with api.client() as client:
                for count in range(100_000):
                    body = {"operation": f"n{number}.{count}"}
                    try:
                        answer = client.post("/commands/record_usage?tenant=acme", json=body)
                    except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                        # Not begun to be answered: it reached nobody, or its connection was closed as idle.
                        unanswered.append(body["operation"])
                        return
                    if answer.status_code != 202:
                        broken.append(answer.text)
                        return
                    accepted.append(answer.json()["ref"])

        waited: list[httpx.Response] = []

        def wait() -> None:
            with api.client() as client:
                waited.append(
                    client.post("/commands/record_usage?tenant=acme&wait=25", json={"operation": "last"})
                )

        threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
        threads.append(threading.Thread(target=wait))
        for thread in threads:
            thread.start()
        eventually(lambda: len(accepted) > 200, "some load")
        eventually(lambda: any(b"last" in f[b"body"] for _, _, f in entries()), "somebody to wait")
        api.terminate()
        assert api.wait() == 0, api.log
        for thread in threads:
            thread.join(PATIENCE)
    assert broken == []
    # Who waited for a command's end is told how it stands.
    assert waited[0].status_code == 202
    assert waited[0].json()["state"] == "queued"
    stored = {f"record_usage.{partition}.{entry}" for partition, entry, _ in entries()}
    assert set(accepted) <= stored
    # What is there besides was under way on connections that then closed.
    assert len(stored) - len(accepted) - 1 <= len(unanswered)
    assert len(unanswered) <= 8


def test_an_idle_one_ends_at_once_and_a_connection_that_hangs_does_not_keep_it(
    on_valkey: Deployment, tmp_path: Path
) -> None:
    with (
        ApiProcess(on_valkey, tmp_path) as api,
        socket.create_connection(("127.0.0.1", api.port)) as hanging,
    ):
        hanging.sendall(b"GET /admin/ten")
        api.terminate()
        assert api.wait() == 0, api.log
