"""The process of the API, without one."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from riptide.api import server
from riptide.config import ApiSettings, Loaded, Settings


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loaded]:
    monkeypatch.setattr(server, "_leave_behind", lambda: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    settings = Settings().model_copy(update={"api": ApiSettings(port=0)})
    yield Loaded(settings, [], {}, None)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_signal_is_lost_before_uvicorn_takes_them(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    told = []

    def run(self: server.Server, sockets: Any) -> None:
        os.kill(os.getpid(), number)
        told.append(self.should_exit)
        os.kill(os.getpid(), number)  # as uvicorn does at its end
        sockets[0].close()

    monkeypatch.setattr(server.Server, "run", run)
    server.serve(loaded)
    assert told == [True]
